//! Artefacts: contents under their SHA-256.

use market::ErrorKind;

use super::{PLENTY, StoreUnderTest};

pub async fn a_content_comes_back_under_its_sha256(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    // More than a document of MongoDB may hold.
    let large: Vec<u8> = (0..17_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let contents = [Vec::new(), b"abc".to_vec(), large];
    let mut names = Vec::new();
    for content in &contents {
        names.push(store.put(content.clone()).await.unwrap());
    }
    // FIPS 180-4's example, and that of nothing.
    assert_eq!(
        names[..2],
        [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        ]
    );
    drop(store);
    let store = place.open().await;
    for (name, content) in names.iter().zip(&contents) {
        assert!(store.has(name).await.unwrap());
        assert!(store.get(name).await.unwrap() == *content, "{name}");
    }
}

pub async fn a_content_that_is_put_again_is_one(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let puts = (0..6).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.put(b"the same".to_vec()).await.unwrap() })
    });
    let mut names = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        names.push(put.await.unwrap());
    }
    names.dedup();
    assert_eq!(names.len(), 1);
    assert_eq!(store.get(&names[0]).await.unwrap(), b"the same");
}

pub async fn what_is_not_there_is_told_so(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let nothing = "0".repeat(64);
    assert!(!store.has(&nothing).await.unwrap());
    let refused = store.get(&nothing).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.to_string().contains(&nothing), "{refused}");
    for bad in ["", "../tickcast.db", &"A".repeat(64), &"0".repeat(63)] {
        let refused = store.get(bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
        assert_eq!(store.has(bad).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}
