//! The messages and services as they are on the wire, generated from `proto/squall/v1`: what arrives here
//! is not to be trusted.
#![expect(
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    reason = "generated code"
)]

tonic::include_proto!("squall.v1");
