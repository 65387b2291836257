//! Rate limits of attempts. They are counted in PostgreSQL, so they hold across processes and while
//! Redis is down.

use std::time::Duration;

use sqlx::PgConnection;

use crate::secrets::fingerprint;

/// A rate limit: a burst of attempts, then one per interval.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    /// The limited action; part of the key that is counted.
    pub name: &'static str,
    /// The number of attempts allowed at once.
    pub burst: u32,
    /// The time until one more attempt is allowed.
    pub interval: Duration,
}

/// The reasons for which a limited action is refused.
#[derive(Debug, thiserror::Error)]
pub enum Throttled {
    /// There were too many attempts; the next one is allowed after this time.
    #[error("there were too many attempts; the next one is allowed in {} seconds", .0.as_secs())]
    TooMany(Duration),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

impl Throttle {
    /// Signing in to one account from one client.
    pub const ACCOUNT: Self = Self { name: "sign_in", burst: 10, interval: Duration::from_mins(1) };
    /// Signing in to one account from one network, such as a company's. It refills more slowly than
    /// [`Throttle::ACCOUNT_ANYWHERE`], so no single network can use that limit up for ever.
    pub const ACCOUNT_NETWORK: Self = Self { name: "sign_in_network", burst: 30, interval: Duration::from_secs(30) };
    /// Signing in to one account from a client that is known for it.
    pub const KNOWN_CLIENT: Self = Self { name: "known_client", burst: 10, interval: Duration::from_mins(1) };
    /// Signing in to one account from anywhere. The limit is high, or strangers could lock the
    /// owner out.
    pub const ACCOUNT_ANYWHERE: Self = Self { name: "sign_in_anywhere", burst: 100, interval: Duration::from_secs(10) };
    /// Codes of one person's second factor: 5 guesses at once, then 288 a day, of which three in a
    /// million are right.
    pub const SECOND_FACTOR: Self = Self { name: "second_factor", burst: 5, interval: Duration::from_mins(5) };
    /// Signing in, registering and the like from one client.
    pub const CLIENT: Self = Self { name: "client", burst: 30, interval: Duration::from_secs(10) };
    /// Letters to confirm one address. Each sort of letter that strangers can ask for has its own
    /// limit, so that one sort does not use up another.
    pub const VERIFY_LETTER: Self = Self { name: "verify_letter", burst: 3, interval: Duration::from_mins(10) };
    /// Letters to one address with a link to choose another password.
    pub const RESET_LETTER: Self = Self { name: "reset_letter", burst: 3, interval: Duration::from_mins(10) };
    /// Letters to one address that somebody wants to have.
    pub const ADDRESS_LETTER: Self = Self { name: "address_letter", burst: 3, interval: Duration::from_mins(10) };
    /// Changes of address that one person asks for, whatever the addresses.
    pub const ADDRESS_CHANGE: Self = Self { name: "address_change", burst: 5, interval: Duration::from_hours(1) };
    /// Invitations to one address, from all tenants.
    pub const INVITATION_LETTER: Self = Self { name: "invitation_letter", burst: 3, interval: Duration::from_mins(10) };
    /// Invitation mails of one account, over all its tenants, until somebody accepted an invitation
    /// of it: 10 a day.
    pub const FRESH_INVITER: Self = Self { name: "fresh_inviter", burst: 10, interval: Duration::from_mins(144) };
    /// Invitation mails of one tenant, to any recipients.
    pub const INVITATIONS: Self = Self { name: "invitations", burst: 50, interval: Duration::from_mins(1) };

    /// Counts an attempt of `whom`, as [`Throttle::take`] does.
    ///
    /// # Errors
    /// Returns [`Throttled::TooMany`] if it is refused.
    pub async fn require(self, conn: &mut PgConnection, whom: &str) -> Result<(), Throttled> {
        self.take(conn, whom).await?.map_or(Ok(()), |wait| Err(Throttled::TooMany(wait)))
    }

    /// Counts an attempt of `whom`. Returns the time to wait if it is refused. Needs the system
    /// scope; the caller commits, also a refusal.
    pub async fn take(self, conn: &mut PgConnection, whom: &str) -> Result<Option<Duration>, sqlx::Error> {
        let key = self.key(whom);
        let (interval, whole) = (self.interval.as_secs_f64(), (self.interval * self.burst).as_secs_f64());
        let taken = sqlx::query!(
            "
            insert into throttles (key_sha256, next_at)
            values ($1, engine_now() + make_interval(secs => $2))
            on conflict (key_sha256) do update
            set next_at = greatest(throttles.next_at, engine_now()) + make_interval(secs => $2)
            where greatest(throttles.next_at, engine_now()) + make_interval(secs => $2)
              <= engine_now() + make_interval(secs => $3)
            ",
            key,
            interval,
            whole
        )
        .execute(&mut *conn)
        .await?;
        if taken.rows_affected() > 0 {
            return Ok(None);
        }
        let wait = sqlx::query_scalar!(
            r#"
            select extract(epoch from next_at - engine_now())::float8 + $2 - $3 as "seconds!"
            from throttles
            where key_sha256 = $1
            "#,
            key,
            interval,
            whole
        )
        .fetch_optional(conn)
        .await?;
        // The row is gone: the attempts were forgiven in the meantime.
        Ok(wait.map(|seconds| Duration::from_secs_f64(seconds.max(1.0))))
    }

    /// Takes back one counted attempt of `whom`. Needs the system scope.
    pub async fn give_back(self, conn: &mut PgConnection, whom: &str) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update throttles set next_at = next_at - make_interval(secs => $2) where key_sha256 = $1",
            self.key(whom),
            self.interval.as_secs_f64()
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Resets the attempts of `whom` after a successful one. Needs the system scope.
    pub async fn forgive(self, conn: &mut PgConnection, whom: &str) -> Result<(), sqlx::Error> {
        sqlx::query!("delete from throttles where key_sha256 = $1", self.key(whom)).execute(conn).await?;
        Ok(())
    }

    fn key(self, whom: &str) -> Vec<u8> {
        fingerprint(&format!("{}\0{}", self.name, whom))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::testing::Bench;

    #[sqlx::test(migrations = "../migrations")]
    async fn a_burst_is_allowed_and_then_one_in_an_interval(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let throttle = Throttle { name: "test", burst: 3, interval: Duration::from_mins(10) };
        let take = async |whom: &str| {
            let mut tx = bench.engine.db.system().await.unwrap();
            let wait = throttle.take(&mut tx, whom).await.unwrap();
            tx.commit().await.unwrap();
            wait
        };
        for _ in 0..3 {
            assert_eq!(take("a").await, None);
        }
        let wait = take("a").await.expect("refused");
        assert!(wait > Duration::from_mins(9) && wait <= Duration::from_mins(10), "{wait:?}");
        assert_eq!(take("b").await, None, "others are counted apart");
        bench.engine.db.shift_clock(Duration::from_mins(10));
        assert_eq!((take("a").await, take("a").await.is_some()), (None, true));
        let mut tx = bench.engine.db.system().await.unwrap();
        throttle.forgive(&mut tx, "a").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(take("a").await, None);
    }
}
