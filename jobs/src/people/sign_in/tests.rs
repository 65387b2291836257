use sqlx::PgPool;

use super::*;
use crate::{people::known_client, testing::Bench};

const PASSWORD: &str = "correct horse battery";
const EMAIL: &str = "ada@example.com";

fn stranger(number: u16) -> ClientOrigin {
    ClientOrigin {
        counted_as: format!("2001:db8:1:{number:x}::/64"),
        network: "2001:db8:1::/48".to_owned(),
        ..ClientOrigin::default()
    }
}

fn owner() -> ClientOrigin {
    let at = "198.51.100.7".to_owned();
    ClientOrigin { counted_as: at.clone(), network: at, ..ClientOrigin::default() }
}

struct Door {
    bench: Bench,
}

impl Door {
    async fn new(pool: PgPool) -> Self {
        let bench = Bench::new(pool).await;
        let hash = bench.engine.services.passwords.choose(PASSWORD.into(), &[]).await.unwrap();
        let mut tx = bench.engine.db.system().await.unwrap();
        let id = store::ensure(&mut tx, &Address::parse(EMAIL).unwrap()).await.unwrap();
        store::mark_verified(&mut tx, id, Some(&hash), store::Names::of("Ada")).await.unwrap();
        tx.commit().await.unwrap();
        Self { bench }
    }

    async fn tries(&self, password: &str, from: &ClientOrigin) -> Result<Proven, SignInError> {
        check(&self.bench.engine.db, &self.bench.engine.services, EMAIL, password.into(), from).await
    }

    /// Has other machines use up a limit.
    async fn exhaust(&self, throttle: Throttle, whom: &str) {
        let mut tx = self.bench.engine.db.system().await.unwrap();
        for _ in 0..throttle.burst {
            assert_eq!(throttle.take(&mut tx, whom).await.unwrap(), None);
        }
        tx.commit().await.unwrap();
    }

    fn known(&self) -> ClientOrigin {
        ClientOrigin { known_as: Some(known_client::issue(&self.bench.engine.services.signer, EMAIL)), ..owner() }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn one_network_does_not_keep_the_owner_out(pool: PgPool) {
    let door = Door::new(pool).await;
    let mut refused = 0;
    for number in 0..40 {
        refused += usize::from(matches!(door.tries("a guess", &stranger(number)).await, Err(SignInError::TooMany(_))));
    }
    assert_eq!(refused, 10, "after 30 guesses of the network");
    assert!(door.tries(PASSWORD, &owner()).await.is_ok());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_known_client_comes_in_while_strangers_guess_from_everywhere(pool: PgPool) {
    let door = Door::new(pool).await;
    door.exhaust(Throttle::ACCOUNT_ANYWHERE, EMAIL).await;
    door.exhaust(Throttle::CLIENT, &owner().counted_as).await;
    assert!(matches!(door.tries(PASSWORD, &owner()).await, Err(SignInError::TooMany(_))));
    assert!(door.tries(PASSWORD, &door.known()).await.is_ok());
    let of_another = known_client::issue(&door.bench.engine.services.signer, "other@example.com");
    let forged = ClientOrigin { known_as: Some(of_another), ..owner() };
    assert!(matches!(door.tries(PASSWORD, &forged).await, Err(SignInError::TooMany(_))));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_known_client_guesses_no_more_than_others(pool: PgPool) {
    let door = Door::new(pool).await;
    let known = door.known();
    for _ in 0..10 {
        assert!(matches!(door.tries("a guess", &known).await, Err(SignInError::Wrong)));
    }
    assert!(matches!(door.tries(PASSWORD, &known).await, Err(SignInError::TooMany(_))));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_owners_success_gives_strangers_no_new_guesses(pool: PgPool) {
    let door = Door::new(pool).await;
    door.exhaust(Throttle::ACCOUNT_NETWORK, &format!("{EMAIL}\0{}", stranger(0).network)).await;
    assert!(door.tries(PASSWORD, &owner()).await.is_ok());
    assert!(matches!(door.tries("a guess", &stranger(1)).await, Err(SignInError::TooMany(_))));
}
