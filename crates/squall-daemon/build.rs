//! Tells the crate which target it is built for.

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=SQUALL_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
