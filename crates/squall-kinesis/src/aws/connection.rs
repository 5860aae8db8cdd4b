//! How a stream is named and reached.

use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{Builder, Credentials, Region, SharedCredentialsProvider};

use crate::api::{ApiError, ErrorClass};
use crate::aws::quietly;

/// The region of an endpoint on this machine, where none was given: emulators take any.
const LOCAL_REGION: &str = "us-east-1";
/// How long one call may take: a page of 10 MiB over a slow line.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where Kinesis is. Credentials come from the standard AWS chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The endpoint's URL; the region's own when absent.
    pub endpoint_url: Option<String>,
    /// The region; the standard AWS chain's when absent.
    pub region: Option<String>,
}

/// A stream, by name or by ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamRef {
    /// A stream of the caller's account in the connection's region.
    Name(String),
    /// Any stream.
    Arn(String),
}

impl StreamRef {
    /// Reads a name or an ARN.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.starts_with("arn:") {
            Self::Arn(text.to_owned())
        } else {
            Self::Name(text.to_owned())
        }
    }

    /// Returns the stream's name, without what an ARN has before it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Arn(arn) => arn.rsplit('/').next().unwrap_or(arn),
        }
    }
}

/// A way to Kinesis that was found.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) region: String,
    /// Where credentials come from; `None` where any will do.
    pub(crate) credentials: Option<SharedCredentialsProvider>,
}

impl Connection {
    /// Makes a client. With `retries` the SDK repeats failed calls by itself, which suits tools.
    ///
    /// # Errors
    /// [`ErrorClass::NoRegion`].
    pub(crate) async fn reach(&self, retries: bool) -> Result<Reached, ApiError> {
        let retry = if retries {
            RetryConfig::standard()
        } else {
            RetryConfig::disabled()
        };
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(CALL_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        let is_local = self.endpoint_url.as_deref().is_some_and(is_plain_loopback);
        let (mut config, region, credentials) = if is_local && !has_credentials_in_environment() {
            self.without_credentials()
        } else {
            self.by_standard_chain(is_local).await?
        };
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url);
        }
        let config = config.retry_config(retry).timeout_config(timeouts).build();
        Ok(Reached {
            client: Client::from_conf(config),
            region,
            credentials,
        })
    }

    async fn by_standard_chain(&self, is_local: bool) -> Result<Found, ApiError> {
        let mut loader = aws_config::from_env();
        match &self.region {
            Some(region) => loader = loader.region(Region::new(region.clone())),
            // Nobody has to ask EC2 for a region that doesn't matter.
            None if is_local => loader = loader.region(local_region()),
            None => {}
        }
        let config = quietly(loader.load()).await;
        let region = config.region().ok_or_else(|| ApiError {
            class: ErrorClass::NoRegion,
            code: "NoRegion".to_owned(),
            message: "neither the config, nor AWS_REGION, nor the profile, nor EC2 names a region"
                .to_owned(),
        })?;
        let region = region.as_ref().to_owned();
        let credentials = config.credentials_provider();
        Ok((Builder::from(&config), region, credentials))
    }

    /// An emulator on this machine checks no signature: any key will do, and none has to be set up.
    fn without_credentials(&self) -> Found {
        let region = self.region.as_deref().unwrap_or(LOCAL_REGION);
        let config = Builder::new()
            .behavior_version_latest()
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new("local", "local", None, None, "loopback"));
        (config, region.to_owned(), None)
    }
}

type Found = (Builder, String, Option<SharedCredentialsProvider>);

/// The environment's or the profile's region, for an emulator may keep streams apart by it, or any.
fn local_region() -> RegionProviderChain {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(LOCAL_REGION))
}

fn has_credentials_in_environment() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Tells whether a URL names this machine, without TLS.
pub(crate) fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if let Some(rest) = authority.strip_prefix("[::1]") {
        return rest.is_empty() || rest.starts_with(':');
    }
    let host = authority.split(':').next().unwrap_or(authority);
    let address = host.parse::<std::net::Ipv4Addr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://127.0.0.1:4567",
            "http://127.8.0.1",
            "http://localhost:1/x",
            "http://[::1]:80/",
        ] {
            assert!(is_plain_loopback(url), "{url}");
        }
        for url in [
            "https://127.0.0.1:4567",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com/",
            "http://[::1]example.com",
            "http://10.0.0.1",
            "127.0.0.1",
        ] {
            assert!(!is_plain_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_stream_is_named_by_name_or_arn() {
        let arn = "arn:aws:kinesis:eu-west-1:111122223333:stream/clicks";
        assert_eq!(StreamRef::parse(arn), StreamRef::Arn(arn.to_owned()));
        assert_eq!(StreamRef::parse(arn).name(), "clicks");
        assert_eq!(StreamRef::parse("clicks").name(), "clicks");
    }
}
