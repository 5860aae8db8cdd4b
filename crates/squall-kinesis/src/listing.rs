//! All shards of a stream, over as many pages as the server makes of them.

use std::collections::BTreeSet;

use crate::api::{ApiError, ErrorClass, KinesisApi, ShardInfo};

/// The most pages of one listing. A stream has at most some ten thousand shards, a page a thousand; a
/// server that never ends is at fault.
const MAX_PAGES: usize = 1000;
/// How often a listing is begun anew because its token had expired.
const MAX_RESTARTS: usize = 3;

/// Lists all shards once each, in the order of their names.
pub(crate) async fn list_all(api: &dyn KinesisApi) -> Result<Vec<ShardInfo>, ApiError> {
    let mut restarts = 0;
    loop {
        match list_once(api).await {
            Err(error) if error.class == ErrorClass::ExpiredToken && restarts < MAX_RESTARTS => {
                restarts += 1;
            }
            result => return result,
        }
    }
}

async fn list_once(api: &dyn KinesisApi) -> Result<Vec<ShardInfo>, ApiError> {
    let mut shards: Vec<ShardInfo> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let page = api.list_shards(token.as_deref()).await?;
        let fresh = page.shards.into_iter();
        shards.extend(fresh.filter(|shard| seen.insert(shard.id.clone())));
        token = page.next_token;
        if token.is_none() {
            shards.sort_by(|a, b| a.id.cmp(&b.id));
            return Ok(shards);
        }
    }
    Err(ApiError {
        class: ErrorClass::Transient,
        code: "EndlessListing".to_owned(),
        message: format!("the listing has more than {MAX_PAGES} pages"),
    })
}
