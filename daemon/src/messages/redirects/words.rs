//! What phone and mailbox read. Numbers and mailboxes are masked: neither reader needs more.

use dialplans::Region;

use crate::store::{Redirect, RedirectMode};

/// What is told of a redirect.
pub(super) struct Told<'a> {
    redirect: &'a Redirect,
    is_russian: bool,
}

impl<'a> Told<'a> {
    /// In the language of the account's region, English for the rest.
    pub(super) fn new(redirect: &'a Redirect, region: Option<Region>) -> Self {
        let russian = Region::parse("RU").ok();
        Self { redirect, is_russian: region.is_some() && region == russian }
    }

    /// What the phone is told.
    pub(super) fn text(&self) -> String {
        let (email, until) = (&self.redirect.email, self.until());
        match (self.is_russian, self.redirect.mode) {
            (true, RedirectMode::Instead) => {
                format!("SMS для этого номера до {until} приходят на почту {email}.")
            }
            (true, RedirectMode::Also) => {
                format!("SMS для этого номера до {until} приходят и на почту {email}.")
            }
            (false, RedirectMode::Instead) => {
                format!("Until {until} texts for this number go to the mailbox {email}.")
            }
            (false, RedirectMode::Also) => {
                format!("Until {until} texts for this number go to the mailbox {email} too.")
            }
        }
    }

    /// What the mailbox is told: subject and text.
    pub(super) fn letter(&self) -> (String, String) {
        let (phone, until) = (&self.redirect.phone, self.until());
        if self.is_russian {
            let subject = format!("SMS для {phone} приходят на эту почту");
            let text = format!(
                "До {until} SMS для номера {phone} приходят на эту почту.\n\nЕсли вы об этом не \
                 просили, сообщите администратору."
            );
            return (subject, text);
        }
        let subject = format!("Texts for {phone} come to this mailbox");
        let text = format!(
            "Until {until} texts for the number {phone} come to this mailbox.\n\nIf you did not \
             ask for that, tell your administrator."
        );
        (subject, text)
    }

    /// A text as a letter. The subject has nothing of it: locked screens show subjects.
    pub(super) fn letter_of(&self, text: String) -> (String, String) {
        let phone = &self.redirect.phone;
        let subject = if self.is_russian {
            format!("SMS для {phone}")
        } else {
            format!("Text for {phone}")
        };
        (subject, text)
    }

    /// The day.
    fn until(&self) -> String {
        self.redirect.until.to_string().chars().take("2026-01-01".len()).collect()
    }
}
