//! Reading many keys at once and in pages.

use squall_store::cluster::{
    ClusterError, MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, MAX_TXN_OPS, Txn, list_all,
};

use crate::{BIG, check, done};

#[test]
fn reads_many_keys_in_their_order() {
    check(|store, epoch| async move {
        done(&store, Txn::new(epoch).put("a", "1").put("b", "2")).await;
        let keys = ["b", "none", "a", "b"].map(str::to_owned).to_vec();
        let found = store.get_many(keys).await.unwrap();
        let values = found
            .iter()
            .map(|found| found.as_ref().map(|f| &f.value[..]));
        let expected = [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")];
        assert_eq!(values.collect::<Vec<_>>(), expected);
        let many = vec!["a".to_owned(); MAX_TXN_OPS + 1];
        let refused = store.get_many(many).await;
        assert!(matches!(refused, Err(ClusterError::Invalid(_))));
    });
}

#[test]
fn lists_a_prefix_in_order_and_in_pages() {
    check(|store, epoch| async move {
        let names = ["t/b", "t/a", "t", "s/a", "t/é"];
        let txn = names
            .iter()
            .fold(Txn::new(epoch), |txn, name| txn.put(*name, *name));
        let revision = done(&store, txn).await;
        let page = store.list("t/", None).await.unwrap();
        let keys: Vec<&str> = page.entries.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["t/a", "t/b", "t/é"]);
        assert_eq!((page.revision, page.next), (revision, None));
        for (after, expected) in [("t/a", 2), ("t/aa", 2), ("a", 3), ("t/é", 0), ("z", 0)] {
            let page = store.list("t/", Some(after)).await.unwrap();
            assert_eq!(page.entries.len(), expected, "{after}");
        }
        let key = |n: usize| format!("many/{n:05}");
        let many = (0..=2 * MAX_PAGE_ENTRIES).map(key);
        done(
            &store,
            many.fold(Txn::new(epoch), |txn, key| txn.put(key, "x")),
        )
        .await;
        let page = store.list("many/", None).await.unwrap();
        assert_eq!(page.entries.len(), MAX_PAGE_ENTRIES);
        assert_eq!(page.next, Some(key(MAX_PAGE_ENTRIES - 1)));
        let (all, _) = list_all(&*store, "many/", 10_000).await.unwrap();
        let listed: Vec<String> = all.into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            listed,
            (0..=2 * MAX_PAGE_ENTRIES).map(key).collect::<Vec<_>>()
        );
        let refused = list_all(&*store, "many/", 2 * MAX_PAGE_ENTRIES).await;
        assert!(matches!(refused, Err(ClusterError::Invalid(_))));
    });
}

#[test]
fn a_page_is_bounded_in_bytes() {
    check(|store, epoch| async move {
        let value = vec![7; BIG];
        for n in 0..6 {
            done(
                &store,
                Txn::new(epoch).put(format!("big/{n}"), value.clone()),
            )
            .await;
        }
        let page = store.list("big/", None).await.unwrap();
        assert_eq!(page.entries.len(), MAX_PAGE_BYTES / (1 << 20));
        let (all, _) = list_all(&*store, "big/", 6).await.unwrap();
        assert_eq!(all.len(), 6);
    });
}
