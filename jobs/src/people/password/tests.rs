use argon2::password_hash::PasswordHasher as _;

use super::*;

const STRONG: &str = "correct horse battery";

fn hashed_otherwise(memory_kib: u32, password: &str) -> String {
    let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory_kib, 1, 1, None).unwrap());
    other.hash_password(password.as_bytes()).unwrap().to_string()
}

#[tokio::test]
async fn only_the_password_itself_is_right() {
    let passwords = Passwords::default();
    let hash = passwords.choose(STRONG.into(), &[]).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_ne!(hash, passwords.choose(STRONG.into(), &[]).await.unwrap(), "salted");
    let verify = async |password: &str, hash: Option<String>| passwords.verify(password.into(), hash).await;
    assert_eq!(verify(STRONG, Some(hash.clone())).await, Verdict::Right { rehashed: None });
    assert_eq!(verify("correct horse batterY", Some(hash)).await, Verdict::Wrong);
    assert_eq!(verify("nobody's", None).await, Verdict::Wrong, "what nobody has is right for nobody");
    assert_eq!(verify("nobody's", Some("nonsense".to_owned())).await, Verdict::Wrong);
}

#[tokio::test]
async fn an_older_hash_is_made_anew() {
    let passwords = Passwords::default();
    for memory_kib in [1024, 32 * 1024] {
        let old = hashed_otherwise(memory_kib, STRONG);
        let Verdict::Right { rehashed: Some(new) } = passwords.verify(STRONG.into(), Some(old)).await else {
            panic!("it was not made anew");
        };
        let verdict = passwords.verify(STRONG.into(), Some(new)).await;
        assert_eq!(verdict, Verdict::Right { rehashed: None });
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_its_letters_are_composed() {
    let passwords = Passwords::default();
    let (composed, decomposed) = ("Br\u{fc}hl\u{a0}Stra\u{df}e 4711 k", "Bru\u{308}hl Stra\u{df}e 4711 k");
    let hash = passwords.choose(composed.into(), &[]).await.unwrap();
    let right = Verdict::Right { rehashed: None };
    assert_eq!(passwords.verify(decomposed.into(), Some(hash)).await, right);
    let as_typed = hashed_otherwise(1024, decomposed);
    let Verdict::Right { rehashed: Some(new) } = passwords.verify(decomposed.into(), Some(as_typed)).await else {
        panic!("hashes of what was typed stay valid");
    };
    assert_eq!(passwords.verify(composed.into(), Some(new)).await, right);
}

#[tokio::test]
async fn a_hash_that_asks_for_more_than_64_mib_is_nobodys() {
    let passwords = Passwords::default();
    for memory_kib in [65 * 1024, 1024 * 1024] {
        let hash = hashed_otherwise(1024, STRONG).replace("m=1024", &format!("m={memory_kib}"));
        assert_eq!(passwords.verify(STRONG.into(), Some(hash)).await, Verdict::Wrong);
    }
    let most = hashed_otherwise(64 * 1024, STRONG);
    assert_ne!(passwords.verify(STRONG.into(), Some(most)).await, Verdict::Wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_come_at_once_and_go_away_few_buffers_are_used() {
    let passwords = Passwords::default();
    for _ in 0..3 {
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.verify(STRONG.into(), None).await })
            })
            .collect();
        // Half of them hang up.
        for (index, one) in crowd.into_iter().enumerate() {
            if index % 2 == 0 {
                one.abort();
            }
            let _ = one.await;
        }
    }
    let all = passwords.free.acquire_many(u32::try_from(at_once()).unwrap()).await.unwrap();
    assert_eq!(passwords.memory.kept(), at_once());
    drop(all);
}
