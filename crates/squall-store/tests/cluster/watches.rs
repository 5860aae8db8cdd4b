//! What watchers hear.

use squall_store::cluster::{Change, Outcome, Revision, Txn, WatchItem};

use crate::{BIG, check, done, heard};

#[test]
fn a_watch_hears_each_commit_of_its_prefix_in_order() {
    check(|store, epoch| async move {
        let start = done(&store, Txn::new(epoch).put("a/1", "before")).await;
        let mut watch = store.watch("a/", start);
        assert_eq!(heard(&mut watch).await, None);
        let txn = Txn::new(epoch)
            .put("a/1", "x")
            .put("b/1", "y")
            .put("a/2", "z");
        let first = done(&store, txn).await;
        done(&store, Txn::new(epoch).put("b/2", "elsewhere")).await;
        let second = done(&store, Txn::new(epoch).delete("a/1").delete("a/3")).await;
        let change = |key: &str, revision, value: Option<&'static str>| Change {
            key: key.to_owned(),
            revision,
            value: value.map(Into::into),
        };
        let both = vec![
            change("a/1", first, Some("x")),
            change("a/2", first, Some("z")),
        ];
        assert_eq!(heard(&mut watch).await, Some(WatchItem::Changed(both)));
        let gone = WatchItem::Changed(vec![change("a/1", second, None)]);
        assert_eq!(heard(&mut watch).await, Some(gone.clone()));
        assert_eq!(heard(&mut watch).await, None);
        // A second watcher may begin in the past.
        let mut late = store.watch("a/", first);
        assert_eq!(heard(&mut late).await, Some(gone));
        // A refused commit is not heard of.
        let refused = store.commit(Txn::new(epoch).absent("a/2").put("a/2", "no"));
        assert!(matches!(refused.await.unwrap(), Outcome::Conflict { .. }));
        assert_eq!(heard(&mut watch).await, None);
    });
}

#[test]
fn a_waiting_watch_is_woken_and_ends_with_its_store() {
    check(|store, epoch| async move {
        let mut watch = store.watch("", Revision(0));
        let waits = tokio::spawn(async move {
            let first = watch.next().await;
            (first, watch.next().await)
        });
        tokio::task::yield_now().await;
        done(&store, Txn::new(epoch).put("a", "1")).await;
        tokio::task::yield_now().await;
        drop(store);
        let (first, second) = waits.await.unwrap();
        assert!(matches!(first, Some(WatchItem::Changed(changes)) if changes.len() == 1));
        assert_eq!(second, None);
    });
}

#[test]
fn a_watch_that_fell_behind_is_told_to_read_anew() {
    check(|store, epoch| async move {
        let start = done(&store, Txn::new(epoch).put("a", "1")).await;
        let mut slow = store.watch("", start);
        let mut last = start;
        for n in 0..20 {
            let value = vec![n; BIG];
            last = done(&store, Txn::new(epoch).put("big", value)).await;
        }
        assert_eq!(
            heard(&mut slow).await,
            Some(WatchItem::Resync { revision: last })
        );
        assert_eq!(heard(&mut slow).await, None);
        let next = done(&store, Txn::new(epoch).put("a", "2")).await;
        assert!(matches!(
            heard(&mut slow).await,
            Some(WatchItem::Changed(changes)) if changes[0].revision == next
        ));
        // So is one that begins before what is remembered, or after what there is.
        for after in [Revision(0), start, Revision(next.0 + 7)] {
            let mut watch = store.watch("", after);
            assert_eq!(
                heard(&mut watch).await,
                Some(WatchItem::Resync { revision: next })
            );
        }
    });
}
