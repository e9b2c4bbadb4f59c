//! The words around a code that is written.

use config::{Template, TemplateName};

use crate::app::Settings;
use crate::messages::TEXT_LIMIT;
use crate::verification::model::{CodeDigits, Wording};

/// The template that is used when the client names none and the file has it.
const DEFAULT_TEMPLATE: &str = "default";

/// The words when the file has no template: languages that we can write, English for the rest.
const BUILT_IN: [(&str, &str); 2] = [
    ("ru", "Ваш код: {code}. Никому его не сообщайте."),
    ("en", "Your code is {code}. Do not share it."),
];

/// The subject of a mail.
const SUBJECTS: [(&str, &str); 2] = [("ru", "Код подтверждения"), ("en", "Your verification code")];

/// What a text or mail is made from. Never prints.
pub struct Words<'a> {
    /// The code.
    pub code: &'a CodeDigits,
    /// A BCP 47 tag.
    pub locale: Option<&'a str>,
    /// What the client wishes.
    pub wish: &'a Wording,
}

/// Why there are no words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordingError {
    /// The file has no such template.
    #[error("no such template")]
    NoTemplate,
    /// The template wants a variable that a code's text does not have.
    #[error(transparent)]
    MissingVariable(#[from] config::MissingVariable),
    /// The template shows no code.
    #[error("the template has no place for the code")]
    NoCode,
    /// It does not fit into one text.
    #[error("the text is too long")]
    TooLong,
}

/// The whole text: the template's words, the line by which a browser finds the code (the last
/// one, as WebOTP's origin-bound messages want it), the hash by which an Android app does.
pub fn text(settings: &Settings, words: &Words<'_>) -> Result<String, WordingError> {
    let mut text = body(settings, words)?;
    if let Some(hash) = &words.wish.android_app_hash {
        text.push_str("\n\n");
        text.push_str(hash);
    }
    if let Some(origin) = &words.wish.web_origin {
        text.push_str("\n\n@");
        text.push_str(origin);
        text.push_str(" #");
        text.push_str(words.code.reveal());
    }
    if text.len() > TEXT_LIMIT { Err(WordingError::TooLong) } else { Ok(text) }
}

/// Subject and plain text of a mail. The subject has no code: locked screens show it.
pub fn mail(settings: &Settings, words: &Words<'_>) -> Result<(String, String), WordingError> {
    let subjects = SUBJECTS.iter().map(|(language, subject)| (*language, *subject));
    let subject = exact_or_language(subjects, words.locale).unwrap_or(SUBJECTS[1].1);
    Ok((subject.to_owned(), body(settings, words)?))
}

fn body(settings: &Settings, words: &Words<'_>) -> Result<String, WordingError> {
    let code = words.code.reveal();
    let wanted = words.wish.template.as_deref();
    let name = TemplateName::parse(wanted.unwrap_or(DEFAULT_TEMPLATE)).ok();
    match name.and_then(|name| settings.config.templates.get(&name)) {
        Some(languages) => {
            let template: &Template =
                in_language(languages.iter(), words.locale).ok_or(WordingError::NoTemplate)?;
            if !template.variables().any(|name| name == "code") {
                return Err(WordingError::NoCode);
            }
            Ok(template.render(|name| (name == "code").then_some(code))?)
        }
        None if wanted.is_some_and(|name| name != DEFAULT_TEMPLATE) => {
            Err(WordingError::NoTemplate)
        }
        None => {
            let languages = BUILT_IN.iter().map(|(language, words)| (*language, *words));
            let english = BUILT_IN[1].1;
            let found = exact_or_language(languages, words.locale).unwrap_or(english);
            Ok(found.replace("{code}", code))
        }
    }
}

/// The language asked for, else without its region, else English, else the first.
fn in_language<'a, T: 'a>(
    languages: impl Iterator<Item = (&'a String, &'a T)> + Clone,
    locale: Option<&str>,
) -> Option<&'a T> {
    let tagged = languages.clone().map(|(tag, value)| (tag.as_str(), value));
    exact_or_language(tagged.clone(), locale)
        .or_else(|| exact_or_language(tagged, Some("en")))
        .or_else(|| languages.map(|(_, value)| value).next())
}

fn exact_or_language<'a, T>(
    mut languages: impl Iterator<Item = (&'a str, T)> + Clone,
    locale: Option<&str>,
) -> Option<T> {
    let locale = locale?;
    let language = locale.split('-').next().unwrap_or(locale);
    let is = |tag: &str, wanted: &str| tag.eq_ignore_ascii_case(wanted);
    let exact = languages.clone().find(|(tag, _)| is(tag, locale));
    exact.or_else(|| languages.find(|(tag, _)| is(tag, language))).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const FILE: &str = r#"
[templates.default]
ru = "{code} — код для входа"
en = "{code} is your code"
[templates.shop]
de = "Code {code}"
[templates.news]
en = "No place here"
"#;

    fn settings(text: &str) -> Settings {
        let source = config::Source { name: "test.toml", text };
        let config = config::parse(&[source]).unwrap_or_else(|report| panic!("{report}")).config;
        let dialplan = Arc::new(crate::plans::dialplan(&config).unwrap());
        Settings { config: Arc::new(config), dialplan }
    }

    fn worded(
        file: &str,
        template: Option<&str>,
        locale: Option<&str>,
    ) -> Result<String, WordingError> {
        let code = CodeDigits::parse("012345").unwrap();
        let wish = Wording { template: template.map(str::to_owned), ..Wording::default() };
        text(&settings(file), &Words { code: &code, locale, wish: &wish })
    }

    #[test]
    fn a_text_speaks_the_users_language_as_far_as_the_file_can() {
        for (file, template, locale, expected) in [
            (FILE, None, Some("ru"), "012345 — код для входа"),
            (FILE, None, Some("ru-RU"), "012345 — код для входа"),
            (FILE, Some("default"), Some("fr"), "012345 is your code"),
            (FILE, Some("shop"), Some("fr"), "Code 012345"),
            ("", None, Some("RU"), "Ваш код: 012345. Никому его не сообщайте."),
            ("", None, None, "Your code is 012345. Do not share it."),
        ] {
            assert_eq!(worded(file, template, locale).as_deref(), Ok(expected), "{locale:?}");
        }
        assert_eq!(worded(FILE, Some("other"), None), Err(WordingError::NoTemplate));
        assert_eq!(worded(FILE, Some("news"), None), Err(WordingError::NoCode));
    }

    #[test]
    fn the_line_for_browsers_is_the_last_one() {
        let code = CodeDigits::parse("012345").unwrap();
        let wish = Wording {
            template: None,
            web_origin: Some("app.example.ru".to_owned()),
            android_app_hash: Some("A1b2C3d4E5f".to_owned()),
        };
        let words = Words { code: &code, locale: None, wish: &wish };
        let text = text(&settings(""), &words).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[1..], ["A1b2C3d4E5f", "@app.example.ru #012345"]);
    }
}
