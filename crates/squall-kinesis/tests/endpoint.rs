//! The embedded endpoint takes what the demo and the other tests need of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions, PutEntry};
use squall_kinesis::{Aws, Connection, ErrorClass, KinesisApi, ShardId, Start, StreamRef};

async fn start(options: EndpointOptions) -> (Endpoint, Admin, Connection) {
    let endpoint = Endpoint::start(options).await.unwrap();
    let connection = Connection {
        endpoint_url: Some(endpoint.url()),
        region: None,
    };
    let admin = Admin::connect(&connection).await;
    (endpoint, admin, connection)
}

fn entries(n: usize, bytes: usize) -> Vec<PutEntry> {
    let entry = |n: usize| PutEntry {
        partition_key: n.to_string(),
        data: format!("{n:0bytes$}").into_bytes(),
    };
    (0..n).map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_many_records_and_splits() {
    let (endpoint, admin, connection) = start(EndpointOptions::default()).await;
    admin.create_stream("clicks", 2).await.unwrap();
    let places = admin
        .put_records("clicks", &entries(20_000, 200))
        .await
        .unwrap();
    assert_eq!(places.len(), 20_000);
    let first = ShardId::new("shardId-000000000000");
    admin.split_shard("clicks", &first).await.unwrap();
    let shards = admin.list_shards("clicks").await.unwrap();
    assert_eq!(shards.len(), 4);
    assert!(shards[0].closed && !shards[1].closed);
    assert_eq!(shards[3].parents, std::slice::from_ref(&first));

    let aws = Aws::connect(&connection, StreamRef::parse("clicks"))
        .await
        .unwrap();
    let mut next = Some(
        aws.shard_iterator(&first, &Start::TrimHorizon)
            .await
            .unwrap(),
    );
    let mut read = Vec::new();
    while let Some(iterator) = next {
        let page = aws.records(&iterator, 10_000).await.unwrap();
        read.extend(page.records.into_iter().map(|record| record.sequence));
        next = page.next_iterator;
    }
    assert!(read.is_sorted());
    assert_eq!(
        read.len(),
        places.iter().filter(|place| place.shard == first).count()
    );
    endpoint.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_streams_in_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let options = EndpointOptions {
        data_dir: Some(dir.path().join("kinesis")),
        ..EndpointOptions::default()
    };
    let (endpoint, admin, _) = start(options.clone()).await;
    admin.create_stream("clicks", 1).await.unwrap();
    admin.put_records("clicks", &entries(10, 10)).await.unwrap();
    endpoint.shutdown().await;
    let (_endpoint, admin, connection) = start(options).await;
    assert_eq!(admin.list_shards("clicks").await.unwrap().len(), 1);
    let aws = Aws::connect(&connection, StreamRef::parse("clicks"))
        .await
        .unwrap();
    let shard = ShardId::new("shardId-000000000000");
    let iterator = aws
        .shard_iterator(&shard, &Start::TrimHorizon)
        .await
        .unwrap();
    assert_eq!(aws.records(&iterator, 100).await.unwrap().records.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_in_their_class() {
    let (endpoint, admin, connection) = start(EndpointOptions::default()).await;
    let class = admin.list_shards("none").await.unwrap_err().class();
    assert_eq!(class, Some(ErrorClass::NotFound));
    let aws = Aws::connect(&connection, StreamRef::parse("none"))
        .await
        .unwrap();
    let refused = aws.records("no iterator", 10).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidArgument, "{refused}");
    endpoint.shutdown().await;
    let unreachable = aws.list_shards(None).await.unwrap_err();
    assert_eq!(unreachable.class, ErrorClass::Unreachable, "{unreachable}");
}
