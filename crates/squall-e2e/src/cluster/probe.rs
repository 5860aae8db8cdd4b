//! What tests look at in a cluster that isn't what operators are shown, and where they let processes die.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::FAIL_POINTS;
use crate::until;

use super::{Cluster, disk};

impl Cluster {
    /// Returns the folder of the cluster's state as nimbus sees it.
    ///
    /// # Errors
    /// If nimbus doesn't run.
    pub fn nimbus_folder(&mut self) -> Result<PathBuf> {
        let folder = self.folder().join(disk::NIMBUS);
        let folder = folder.strip_prefix("/")?.to_owned();
        let pid = self.nimbus()?.pid();
        Ok(Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(folder))
    }

    /// Returns why workers of a supervisor have ended, as it has logged each end: the workers' own files go when
    /// their slots are free again.
    ///
    /// # Errors
    /// If the supervisor doesn't run.
    pub fn exit_reasons(&self, supervisor: &str) -> Result<Vec<String>> {
        let process = self.supervisors.get(supervisor);
        let said = process.context("the supervisor doesn't run")?.said()?;
        let ends = said.lines().filter(|line| line.contains("worker is gone"));
        let reasons = ends.filter_map(|line| line.split_once("reason="));
        Ok(reasons.map(|(_, reason)| reason.to_owned()).collect())
    }

    /// Reads one of nimbus's pages, `/healthz` or `/metrics`, with its status line and headers.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub fn page(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.http)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: nimbus\r\nconnection: close\r\n\r\n"
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    /// Returns the sum of nimbus's metric of this name, over all its labels.
    ///
    /// # Errors
    /// If nimbus doesn't answer, or has no such metric.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let page = self.page("/metrics")?;
        let of_it =
            |line: &&str| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']);
        let values = page
            .lines()
            .filter(of_it)
            .filter_map(|line| line.rsplit(' ').next());
        let values: Vec<u64> = values.map(str::parse).collect::<Result<_, _>>()?;
        ensure!(!values.is_empty(), "no metric {name} in {page}");
        Ok(values.iter().sum())
    }

    /// Arms a fail point: the process that reaches it first dies there. In builds without them nothing happens.
    ///
    /// # Errors
    /// If the file that arms it can't be written.
    pub fn arm(&self, fail_point: &str) -> Result<()> {
        let folder = self.folder().join(FAIL_POINTS);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(fail_point), "")?)
    }

    /// Waits until a process has died at a fail point that was armed.
    ///
    /// # Errors
    /// If none does.
    pub async fn until_reached(&self, fail_point: &str) -> Result<()> {
        let armed = self.folder().join(FAIL_POINTS).join(fail_point);
        until(&format!("somebody dies at {fail_point}"), || {
            Ok(!armed.exists())
        })
        .await
    }
}
