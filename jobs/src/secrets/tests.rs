use std::collections::HashSet;

use proptest::prelude::*;
use wycheproof_ng_aead::aead::{TestName, TestSet};

use super::*;

fn ring(ids: &[&str]) -> Keyring {
    let key = |id: &str| STANDARD.encode(Sha256::digest(id));
    let keys: Vec<String> = ids.iter().map(|id| format!("{id}:{}", key(id))).collect();
    Keyring::parse(&keys.join(",")).unwrap()
}

fn place() -> SecretLocation {
    SecretLocation { table: "oauth_tokens", column: "access_token", tenant_id: TenantId::new(), row_id: Uuid::now_v7() }
}

#[test]
fn a_secret_comes_back_at_its_place_only() {
    let (keys, here) = (ring(&["a"]), place());
    let envelope = keys.encrypt(here, &SecretString::from("EAAB-token"));
    assert!(!envelope.contains("EAAB"));
    assert_eq!(keys.decrypt(here, &envelope).unwrap().expose_secret(), "EAAB-token");
    for elsewhere in [
        SecretLocation { row_id: Uuid::now_v7(), ..here },
        SecretLocation { tenant_id: TenantId::new(), ..here },
        SecretLocation { column: "refresh_token", ..here },
        SecretLocation { table: "api_keys", ..here },
    ] {
        assert!(matches!(keys.decrypt(elsewhere, &envelope), Err(SecretError::Refused)));
    }
}

proptest! {
    #[test]
    fn any_secret_comes_back_and_no_other_text_is_an_envelope(
        secret in any::<String>(),
        text in "(v1|\\.|a|[A-Za-z0-9+/=_-]{1,30}|.){0,9}",
        at in any::<prop::sample::Index>(),
    ) {
        let (keys, here) = (ring(&["a"]), place());
        let envelope = keys.encrypt(here, &SecretString::from(secret.as_str()));
        let decrypted = keys.decrypt(here, &envelope).unwrap();
        prop_assert_eq!(decrypted.expose_secret(), secret);
        prop_assert!(keys.decrypt(here, &text).is_err());
        let mut other = envelope.into_bytes();
        let at = at.index(other.len());
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        prop_assert!(keys.decrypt(here, std::str::from_utf8(&other).unwrap()).is_err());
    }
}

#[test]
fn an_older_key_still_decrypts() {
    let here = place();
    let envelope = ring(&["old"]).encrypt(here, &SecretString::from("x"));
    assert!(ring(&["new", "old"]).decrypt(here, &envelope).is_ok());
    assert!(matches!(ring(&["new"]).decrypt(here, &envelope), Err(SecretError::UnknownKey(id)) if id == "old"));
}

#[test]
fn a_message_is_verified_for_its_purpose_by_its_key_only() {
    let keys = ring(&["new", "old"]);
    let Mac { key_id, bytes } = keys.mac("audit_log", b"message");
    assert_eq!(key_id, "new");
    assert!(ring(&["newer", "new"]).verify("audit_log", b"message", "new", &bytes).is_ok());
    for (purpose, message, key_id, mac) in [
        ("audit_head", "message", "new", &bytes[..]),
        ("audit_log", "messagE", "new", &bytes[..]),
        ("audit_log", "message", "old", &bytes[..]),
        ("audit_log", "message", "new", &bytes[..31]),
        ("audit_log", "message", "new", &[]),
    ] {
        let refused = keys.verify(purpose, message.as_bytes(), key_id, mac);
        assert!(matches!(refused, Err(SecretError::Refused)), "{purpose} {message} {key_id}");
    }
    let unknown = ring(&["old"]).verify("audit_log", b"message", "new", &bytes);
    assert!(matches!(unknown, Err(SecretError::UnknownKey(id)) if id == "new"));
}

#[test]
fn weak_keys_and_keys_that_are_there_twice_are_refused() {
    let encoded = |bytes: [u8; 32]| STANDARD.encode(bytes);
    let (one, two) = (STANDARD.encode(Sha256::digest("1")), STANDARD.encode(Sha256::digest("2")));
    for (keys, reason) in [
        (format!("a:{}", encoded([0; 32])), "not random"),
        (format!("a:{}", encoded([7; 32])), "not random"),
        (format!("a:{}", encoded(*b"change-me-change-me-change-me-32")), "not random"),
        (format!("a:{one},b:{}", encoded([0; 32])), "not random"),
        (format!("a:{one},a:{two}"), "two keys of the keyring have the id \"a\""),
        (format!("a:{one},b:{two},c:{one}"), "one key of the keyring has two ids, \"c\""),
    ] {
        let error = format!("{:#}", Keyring::parse(&keys).unwrap_err());
        assert!(error.contains(reason) && !error.contains(&one), "{error}");
    }
    let ring = Keyring::parse(&format!("a:{one}")).unwrap();
    assert!(ring.holds(&one) && ring.holds(&format!("a:{one}")) && !ring.holds(&two));
}

#[test]
fn malformed_keys_are_refused_without_being_repeated() {
    for keys in ["", "a", "a:", "a:c2hvcnQ=", "a b:AAAA", ":AAAA"] {
        let error = format!("{:#}", Keyring::parse(keys).unwrap_err());
        assert!(error.starts_with("entry 1 of the keyring"), "{error}");
        assert!(!error.contains("c2hvcnQ"), "{error}");
    }
}

/// The text with one bit of one byte flipped, for each bit that leaves UTF-8 valid.
fn flipped(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}

#[test]
fn an_envelope_that_was_changed_or_cut_does_not_decrypt() {
    let (keys, here) = (ring(&["a"]), place());
    let envelope = keys.encrypt(here, &SecretString::from("EAAB-token"));
    assert!(flipped(&envelope).count() >= envelope.len() * 7, "most flips are tried");
    for changed in flipped(&envelope) {
        assert!(keys.decrypt(here, &changed).is_err(), "{changed}");
    }
    for length in 0..envelope.len() {
        assert!(keys.decrypt(here, &envelope[..length]).is_err(), "{length}");
    }
    for more in [format!("{envelope}A"), format!("{envelope}."), format!(" {envelope}"), envelope.repeat(2)] {
        assert!(keys.decrypt(here, &more).is_err(), "{more}");
    }
}

#[test]
fn nonces_are_distinct() {
    let (keys, here, secret) = (ring(&["a"]), place(), SecretString::from("x"));
    let count = if std::env::var_os("LINECOOK_LONG").is_some() { 1_000_000 } else { 100_000 };
    let nonces: HashSet<String> =
        (0..count).map(|_| keys.encrypt(here, &secret).split('.').nth(2).expect("a nonce").to_owned()).collect();
    assert_eq!(nonces.len(), count);
}

/// The vectors for the form that the keyring uses: keys of 256 bits, nonces of 96 and tags of 128.
#[test]
fn the_cipher_agrees_with_the_vectors_of_wycheproof() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let groups =
        set.test_groups.iter().filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let mut count = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
        let ciphertext = [test.ct.as_slice(), &test.tag].concat();
        let plain = cipher.decrypt(&Nonce::from(nonce), Payload { msg: &ciphertext, aad: &test.aad });
        if test.result.must_fail() {
            assert!(plain.is_err(), "{}", test.tc_id);
        } else {
            assert_eq!(plain.unwrap(), test.pt.as_slice(), "{}", test.tc_id);
            let payload = Payload { msg: &test.pt, aad: &test.aad };
            assert_eq!(cipher.encrypt(&Nonce::from(nonce), payload).unwrap(), ciphertext, "{}", test.tc_id);
        }
        count += 1;
    }
    assert!(count > 60, "{count} vectors");
}
