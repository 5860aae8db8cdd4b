//! The Kinesis endpoint and the stream that the demo uses.

use std::sync::Arc;

use squall::Result;
use squall_kinesis::Connection;
use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions};

/// How many shards the stream begins with.
const N_SHARDS: u16 = 2;

/// An endpoint with the demo's stream on it. Clones share it.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) admin: Admin,
    pub(super) stream: String,
    pub(super) url: String,
    /// Kept for as long as it serves.
    embedded: Option<Arc<Endpoint>>,
}

impl Stage {
    /// Starts the embedded endpoint, or takes the one at `url`, and makes a stream.
    pub(super) async fn set(url: Option<&str>) -> Result<Self> {
        let embedded = match url {
            Some(_) => None,
            None => Some(Arc::new(Endpoint::start(EndpointOptions::default()).await?)),
        };
        let url = url
            .map(str::to_owned)
            .or_else(|| embedded.as_ref().map(|e| e.url()));
        let url = url.unwrap_or_default();
        let connection = Connection {
            endpoint_url: Some(url.clone()),
            ..Connection::default()
        };
        let admin = Admin::connect(&connection).await;
        // Somebody else's endpoint may have a stream of that name already.
        let stream = match embedded {
            Some(_) => "clicks".to_owned(),
            None => format!("squall-demo-{}", std::process::id()),
        };
        admin.create_stream(&stream, N_SHARDS).await?;
        Ok(Self {
            admin,
            stream,
            url,
            embedded,
        })
    }

    /// Deletes the stream from an endpoint that isn't the demo's own.
    pub(super) async fn strike(&self) {
        if self.embedded.is_some() {
            return;
        }
        if let Err(error) = self.admin.delete_stream(&self.stream).await {
            squall::console::say(format_args!(
                "stream {} was not deleted: {error}",
                self.stream
            ));
        }
    }
}
