//! API keys: made, used, revoked.

use std::time::Duration;

use daemon::store::{ApiKey, ApiKeyId};

use crate::on_both;
use crate::world::World;

on_both! {
    a_key_is_found_by_its_id_until_and_after_it_is_revoked,
    the_same_id_is_not_given_twice,
}

fn key(world: &World, id: &str) -> ApiKey {
    ApiKey {
        api_key_id: ApiKeyId::parse(id).unwrap(),
        secret_sha256: [9; 32],
        account: Some("vats".to_owned()),
        live: true,
        scopes: vec!["verify".to_owned(), "calls:own_codes".to_owned()],
        networks: vec!["203.0.113.0/24".to_owned()],
        label: Some("the shop's own".to_owned()),
        created_at: world.clock.now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

async fn a_key_is_found_by_its_id_until_and_after_it_is_revoked(world: World) {
    let first = key(&world, "abcdefghj1");
    world.store.create_api_key(first.clone()).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let gateway = ApiKey { account: None, networks: Vec::new(), ..key(&world, "abcdefghj2") };
    world.store.create_api_key(gateway.clone()).await.unwrap();
    let found = world.store.api_key(&first.api_key_id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert_eq!(world.store.api_keys().await.unwrap(), [gateway, first.clone()]);
    let (id, used_at) = (&first.api_key_id, world.clock.now());
    world.store.touch_api_key(id, used_at).await.unwrap();
    world.store.touch_api_key(id, used_at - Duration::from_secs(60)).await.unwrap();
    assert!(world.store.revoke_api_key(id).await.unwrap());
    world.clock.advance(Duration::from_secs(5));
    assert!(world.store.revoke_api_key(id).await.unwrap());
    let revoked = world.store.api_key(id).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(used_at), "the first time counts");
    assert_eq!(revoked.last_used_at, Some(used_at));
    let unknown = ApiKeyId::parse("0000000000").unwrap();
    assert!(!world.store.revoke_api_key(&unknown).await.unwrap());
    assert_eq!(world.store.api_key(&unknown).await.unwrap(), None);
}

async fn the_same_id_is_not_given_twice(world: World) {
    let first = key(&world, "abcdefghj1");
    world.store.create_api_key(first.clone()).await.unwrap();
    let second = ApiKey { secret_sha256: [1; 32], ..first.clone() };
    assert!(world.store.create_api_key(second).await.is_err());
    assert_eq!(world.store.api_key(&first.api_key_id).await.unwrap(), Some(first));
}
