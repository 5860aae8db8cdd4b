//! The embedded endpoint takes what the demo and the other tests need of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use squall_kinesis::dev::{Admin, Endpoint, EndpointOptions, PutEntry};
use squall_kinesis::{
    Aws, Connection, ErrorClass, KinesisApi, Sequence, ShardId, Start, StreamRef,
};

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

async fn connect(connection: &Connection, stream: &str) -> Aws {
    let aws = Aws::connect(connection, StreamRef::parse(stream)).await;
    aws.unwrap()
}

/// Reads a shard from its oldest record to its end or its tip; returns the sequence numbers.
async fn read_all(aws: &Aws, shard: &ShardId) -> Vec<Sequence> {
    let oldest = aws.shard_iterator(shard, &Start::TrimHorizon).await;
    let mut next = Some(oldest.unwrap());
    let mut read = Vec::new();
    while let Some(iterator) = next {
        let page = aws.records(&iterator, 10_000).await.unwrap();
        next = page.next_iterator.filter(|_| !page.records.is_empty());
        read.extend(page.records.into_iter().map(|record| record.sequence));
    }
    read
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

    let aws = connect(&connection, "clicks").await;
    let read = read_all(&aws, &first).await;
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
    let aws = connect(&connection, "clicks").await;
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
    let aws = connect(&connection, "none").await;
    let refused = aws.records("no iterator", 10).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidArgument, "{refused}");
    endpoint.shutdown().await;
    let unreachable = aws.list_shards(None).await.unwrap_err();
    assert_eq!(unreachable.class, ErrorClass::Unreachable, "{unreachable}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_shard_refuses_are_put_again_until_all_are_taken() {
    let options = EndpointOptions {
        write_limits: true,
        ..EndpointOptions::default()
    };
    let (_endpoint, admin, connection) = start(options).await;
    admin.create_stream("clicks", 1).await.unwrap();
    // A shard takes a thousand a second.
    let began = tokio::time::Instant::now();
    let places = admin.put_records("clicks", &entries(1600, 10)).await;
    let mut places: Vec<_> = places
        .unwrap()
        .into_iter()
        .map(|place| Sequence::parse(&place.sequence).unwrap())
        .collect();
    assert!(
        began.elapsed() > std::time::Duration::from_millis(300),
        "none was refused"
    );
    places.sort();
    let aws = connect(&connection, "clicks").await;
    let shard = ShardId::new("shardId-000000000000");
    assert_eq!(read_all(&aws, &shard).await, places, "each once");
}
