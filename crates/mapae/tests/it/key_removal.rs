//! When a retired key is removed: by the server, whose settings say how long its tokens are good.

use std::sync::Arc;
use std::time::Duration;

use mapae::Mapae;
use mapae::domain::{KeyState, MasterKey};
use mapae::service::By;
use mapae::store::{Migrate, Store};
use tokio::time::{Instant, sleep};

use crate::forge::parts;
use crate::server::{MASTER_KEY, START, Server, text};

const HOUR: i64 = 3600;

/// What `mapae key …` works with; its settings may differ from the server's.
async fn command_line(server: &Server, access_token_lifetime: u32) -> Mapae {
    let clock = Arc::new(server.clock.clone());
    let store =
        Store::open(crate::database::options(server.directory()), false, Migrate::Never, clock.clone()).await.unwrap();
    let mut settings = server.settings.clone();
    settings.access_token_lifetime = access_token_lifetime;
    Mapae::attach(store, settings, MasterKey::new(MASTER_KEY.to_vec()).unwrap(), clock).await.unwrap()
}

#[tokio::test]
async fn a_rotation_with_another_lifetime_logs_nobody_out() {
    let server = Server::start_with(|settings| settings.access_token_lifetime = 24 * HOUR as u32).await;
    let (_, token) = server.newcomer("ann").await;
    let kid = text(&parts(&token).0["kid"]);
    let command_line = command_line(&server, 900).await;
    let state = async || {
        let keys = command_line.list_keys().await.unwrap();
        keys.iter().find(|key| key.kid == kid).map(|key| key.state)
    };
    command_line.rotate_keys(true, By::System).await.unwrap();
    for hour in [2, 12, 23] {
        server.clock.set(START + hour * HOUR);
        assert_eq!(state().await, Some(KeyState::Retiring), "listed after {hour} hours");
        command_line.rotate_keys(true, By::System).await.unwrap();
        // The server has followed the change by then.
        sleep(Duration::from_millis(200)).await;
        assert_eq!(state().await, Some(KeyState::Retiring), "kept after {hour} hours");
        assert_eq!(server.status_of_me(&token).await, 200, "after {hour} hours");
    }

    // Past the token's life, its leeway and the copies of the key set, the server removes the key.
    server.clock.set(START + 24 * HOUR + 5 + 300);
    assert_eq!(state().await, Some(KeyState::Retiring));
    command_line.rotate_keys(true, By::System).await.unwrap();
    let began = Instant::now();
    while state().await.is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "the server removes the key");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!server.mapae.jwks().contains(&kid));
    assert_eq!(command_line.list_keys().await.unwrap().len(), 2 + 4, "those of the later rotations stay");
}
