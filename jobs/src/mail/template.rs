//! The texts of emails. The words are in `templates/mail`, once. The HTML is made of the plain
//! text's paragraphs, so the two never differ.

use askama::Template;
use chrono::{DateTime, Utc};

use super::AccountChange;
use crate::posts::DeliveryState;

/// The maximum number of characters of user input in an email.
const LONGEST: usize = 200;

/// The text of an email. It renders as plain text.
#[derive(Debug, Template)]
pub(super) enum EmailTemplate {
    #[template(path = "mail/verify_email.txt")]
    VerifyEmail { url: String, until: String },
    #[template(path = "mail/address_taken.txt")]
    AddressTaken { url: String },
    #[template(path = "mail/reset_password.txt")]
    ResetPassword { url: String, until: String },
    #[template(path = "mail/confirm_old_address.txt")]
    ConfirmOldAddress { new: String, url: String, until: String },
    #[template(path = "mail/confirm_new_address.txt")]
    ConfirmNewAddress { url: String, until: String },
    #[template(path = "mail/account_changed.txt")]
    AccountChanged { change: AccountChange, url: String },
    #[template(path = "mail/operator_invitation.txt")]
    OperatorInvitation { url: String, until: String },
    #[template(path = "mail/invitation.txt")]
    Invitation { tenant: String, inviter: String, role: String, url: String, until: String },
    #[template(path = "mail/account_needs_attention.txt")]
    AccountNeedsAttention { tenant: String, account: String, platform: String, reason: String },
    #[template(path = "mail/key_refused.txt")]
    KeyRefused { tenant: String, service: String, reason: String, url: String },
    #[template(path = "mail/connection_ending.txt")]
    ConnectionEnding { tenant: String, accounts: String, platform: String, until: String },
    #[template(path = "mail/post.txt")]
    Post {
        outcome: DeliveryOutcome,
        tenant: String,
        account: String,
        excerpt: String,
        scheduled: String,
        reason: String,
    },
    #[template(path = "mail/operator_alert.txt")]
    OperatorAlert { sort: String, words: String },
}

/// The HTML form of a text.
#[derive(Debug, Template)]
#[template(path = "mail/email.html")]
struct Html<'a> {
    subject: &'a str,
    paragraphs: Vec<&'a str>,
    link: Option<&'a str>,
}

impl Html<'_> {
    fn is_link(&self, paragraph: &str) -> bool {
        self.link == Some(paragraph)
    }
}

/// The outcome of a delivery that was not simply published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryOutcome {
    Failed,
    Missed,
    Unknown,
}

impl DeliveryOutcome {
    /// The delivery's state.
    pub(super) fn state(self) -> DeliveryState {
        match self {
            Self::Failed => DeliveryState::Failed,
            Self::Missed => DeliveryState::Missed,
            Self::Unknown => DeliveryState::Unknown,
        }
    }
}

impl EmailTemplate {
    pub(super) fn subject(&self) -> String {
        match self {
            Self::VerifyEmail { .. } => "Confirm your address".to_owned(),
            Self::AddressTaken { .. } => "You have an account already".to_owned(),
            Self::ResetPassword { .. } => "Choose a new password".to_owned(),
            Self::ConfirmOldAddress { .. } => "Do you want another address?".to_owned(),
            Self::ConfirmNewAddress { .. } => "Confirm your new address".to_owned(),
            Self::AccountChanged { change, .. } => change.subject().to_owned(),
            Self::OperatorInvitation { .. } => "You are invited to operate Linecook".to_owned(),
            Self::Invitation { tenant, .. } => format!("You are invited to \u{201c}{tenant}\u{201d} on Linecook"),
            Self::AccountNeedsAttention { account, .. } => format!("{account} has to be connected again"),
            Self::KeyRefused { service, .. } => format!("{service} refuses your key"),
            Self::ConnectionEnding { accounts, .. } => format!("The connection to {accounts} ends soon"),
            Self::Post { outcome: DeliveryOutcome::Failed, account, .. } => {
                format!("A post on {account} did not go out")
            }
            Self::Post { outcome: DeliveryOutcome::Missed, account, .. } => {
                format!("A post on {account} missed its time")
            }
            Self::Post { outcome: DeliveryOutcome::Unknown, account, .. } => format!("Did a post on {account} go out?"),
            Self::OperatorAlert { sort, .. } => format!("Linecook: {}", one_line(sort)),
        }
    }

    /// Renders the plain text.
    ///
    /// # Panics
    /// Never: writing to a string does not fail, and the templates call nothing that does.
    pub(super) fn to_text(&self) -> String {
        self.render().expect("plain words")
    }

    /// Renders the HTML form of `text`.
    ///
    /// # Panics
    /// As [`EmailTemplate::to_text`].
    pub(super) fn to_html(&self, text: &str) -> String {
        let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).collect();
        Html { subject: &self.subject(), paragraphs, link: self.link() }.render().expect("plain words")
    }

    /// Returns the address that an email is about, which stands alone in its paragraph.
    fn link(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { url, .. }
            | Self::AddressTaken { url }
            | Self::ResetPassword { url, .. }
            | Self::ConfirmOldAddress { url, .. }
            | Self::ConfirmNewAddress { url, .. }
            | Self::AccountChanged { url, .. }
            | Self::OperatorInvitation { url, .. }
            | Self::Invitation { url, .. }
            | Self::KeyRefused { url, .. } => Some(url),
            Self::AccountNeedsAttention { .. }
            | Self::ConnectionEnding { .. }
            | Self::Post { .. }
            | Self::OperatorAlert { .. } => None,
        }
    }
}

/// Returns user input in a form that is safe in a header or a sentence: without line ends and
/// control characters, and shortened.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => line,
    }
}

/// The most characters of a stranger's name in an email.
const LONGEST_NAME: usize = 60;

/// Returns a name that a stranger chose, for a letter to a person who may not know them. The name
/// is cut and put on one line. Characters that lead elsewhere or turn the direction of the text are
/// removed. Mail programs make links of words with dots, so dots are set apart.
pub(super) fn stranger(name: &str) -> String {
    let line = one_line(&name.chars().filter(|c| !is_invisible(*c)).collect::<String>());
    let is_address = |word: &&str| ["://", "@", "www."].iter().any(|mark| word.to_lowercase().contains(mark));
    let plain = line.split_whitespace().filter(|word| !is_address(word)).collect::<Vec<_>>().join(" ");
    let apart = plain.replace(['\u{201c}', '\u{201d}', '"'], "'").replace('.', ". ");
    let words = apart.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(LONGEST_NAME).collect::<String>().trim_end().to_owned()
}

/// Returns true for invisible characters of the Unicode category Cf: marks of direction, joiners,
/// and tags.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Formats a time for people: `22 November 2026, 14:00 UTC`.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://linecook.example.com/verify-email/abc";

    fn post(outcome: DeliveryOutcome, caption: &str) -> EmailTemplate {
        EmailTemplate::Post {
            outcome,
            tenant: "Krusty Pizza".to_owned(),
            account: "Krusty's Page".to_owned(),
            excerpt: one_line(caption),
            scheduled: time(DateTime::UNIX_EPOCH),
            reason: "The network refused it.".to_owned(),
        }
    }

    fn invitation(tenant: &str, inviter: &str) -> EmailTemplate {
        let (role, until) = ("admin".to_owned(), time(DateTime::UNIX_EPOCH));
        EmailTemplate::Invitation {
            tenant: stranger(tenant),
            inviter: stranger(inviter),
            role,
            url: URL.to_owned(),
            until,
        }
    }

    fn all() -> Vec<EmailTemplate> {
        let (url, until) = (URL.to_owned(), time(DateTime::UNIX_EPOCH));
        vec![
            EmailTemplate::VerifyEmail { url: url.clone(), until: until.clone() },
            EmailTemplate::AddressTaken { url: url.clone() },
            EmailTemplate::ConfirmOldAddress {
                new: "ada@other.example".to_owned(),
                url: url.clone(),
                until: until.clone(),
            },
            EmailTemplate::ConfirmNewAddress { url: url.clone(), until: until.clone() },
            EmailTemplate::AccountChanged { change: AccountChange::Password, url: url.clone() },
            EmailTemplate::AccountChanged { change: AccountChange::SecondFactorAdded, url: url.clone() },
            EmailTemplate::AccountChanged { change: AccountChange::SecondFactorRemoved, url: url.clone() },
            EmailTemplate::AccountChanged { change: AccountChange::SecondFactorReset, url: url.clone() },
            EmailTemplate::ResetPassword { url, until },
            invitation("Krusty Pizza", "Zoë Martínez"),
            EmailTemplate::AccountNeedsAttention {
                tenant: "Krusty Pizza".to_owned(),
                account: "Krusty's Page".to_owned(),
                platform: "network".to_owned(),
                reason: "The token has ended.".to_owned(),
            },
            EmailTemplate::ConnectionEnding {
                tenant: "Krusty Pizza".to_owned(),
                accounts: "Krusty's Page".to_owned(),
                platform: "network".to_owned(),
                until: time(DateTime::UNIX_EPOCH),
            },
            post(DeliveryOutcome::Failed, "Two for one"),
            post(DeliveryOutcome::Missed, "Two for one"),
            post(DeliveryOutcome::Unknown, "Two for one"),
            EmailTemplate::OperatorAlert {
                sort: "A job was given up".to_owned(),
                words: "It killed its worker.".to_owned(),
            },
        ]
    }

    #[test]
    fn every_letter_has_a_subject_of_its_own_and_whole_paragraphs() {
        let mut subjects: Vec<String> = all().iter().map(EmailTemplate::subject).collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), all().len());
        for words in all() {
            let text = words.to_text();
            assert!(!text.contains("\n\n\n") && !text.contains(" \n") && !text.starts_with('\n'), "{text:?}");
            assert!(text.lines().all(|line| line.len() < 998), "{text:?}");
        }
    }

    #[test]
    fn text_and_html_say_the_same() {
        for words in all() {
            let (text, html) = (words.to_text(), words.to_html(&words.to_text()));
            let plain = html.replace("&#39;", "'").replace("&#34;", "\"");
            for paragraph in text.split("\n\n").map(str::trim) {
                assert!(plain.contains(paragraph), "{paragraph:?} is not in {plain}");
            }
            assert_eq!(html.contains("<a href="), words.link().is_some(), "{html}");
        }
    }

    #[test]
    fn what_people_wrote_is_escaped_in_html_and_left_alone_in_text() {
        let words = invitation("<script>alert(1)</script> & Söhne", "\"><b>Zoë");
        let (text, html) = (words.to_text(), words.to_html(&words.to_text()));
        assert!(text.contains("<script>alert(1)</script> & Söhne") && text.contains("'><b>Zoë"), "{text}");
        assert!(!html.contains("<script>") && !html.contains("<b>Zo"), "{html}");
        assert!(html.contains("&#60;script&#62;alert(1)") && html.contains("&#38; Söhne"), "{html}");
    }

    #[test]
    fn strangers_lead_nowhere_and_their_names_are_marked() {
        let words = invitation("Krusty\r\nBcc: all@example.com\n\nhttps://evil.example.com evil.example.com/x", "");
        assert_eq!(words.subject(), "You are invited to \u{201c}Krusty Bcc: evil. example. com/x\u{201d} on Linecook");
        assert_eq!(words.to_html(&words.to_text()).matches("<a href=").count(), 1);
        let turned = invitation("a\u{202e}b\u{200b}c\u{2066}d\u{1b}[2J", "x\" y\u{201d} WWW.EVIL.EXAMPLE");
        let text = turned.to_text();
        assert!(text.contains("\u{201c}abcd [2J\u{201d}") && text.contains("\u{201c}x' y'\u{201d}"), "{text}");
        assert_eq!(stranger(&"\u{e4}".repeat(300)).chars().count(), 60);
    }

    #[test]
    fn nobody_writes_lines_of_his_own() {
        assert_eq!(one_line("a\u{0}\u{1b}[2J\tb \u{85} c"), "a [2J b c");
        assert_eq!(one_line(&"ä".repeat(300)), format!("{}...", "ä".repeat(200)));
    }

    #[test]
    fn each_outcome_of_a_post_has_its_words() {
        for (outcome, words) in [
            (DeliveryOutcome::Failed, "did not go out. What the network said: The network refused it."),
            (DeliveryOutcome::Missed, "was found too late and did not go out"),
            (DeliveryOutcome::Unknown, "Nobody can tell whether"),
        ] {
            let text = post(outcome, "Two for one").to_text();
            assert!(text.contains(words) && text.contains("Two for one"), "{text}");
        }
    }
}
