//! Templates: a mail in two languages, which a company may write anew.
//!
//! `NAME.LANGUAGE.txt` begins with `Subject: ...` and an empty line; what follows is the text.
//! `NAME.LANGUAGE.html`, if it is there, is the same as HTML. A file of the same name in the
//! company's folder stands for that of the release. A template that names what is not there is
//! an error, and a company's own are tried with [`Kind::sample`] when the sidecar starts.

mod catalogue;

use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use catalogue::KINDS;
pub use catalogue::{
    ACCOUNT, ACCOUNT_LINK, ACCOUNT_NAME, ACCOUNT_PASSWORD, ALERT, Kind, NOTIFICATION, REPORT,
};

use super::letter::NoLetter;

/// In which language a mail is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Japanese.
    #[default]
    Ja,
    /// English.
    En,
}

impl Language {
    /// As in names of files.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// No release has it.
    #[error("there is no template `{0}`")]
    Unknown(String),
    /// A file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is for no template.
    #[error("`{}` is for no template: there are {known}", path.display())]
    Stray {
        /// Which.
        path: PathBuf,
        /// Every name that it could have.
        known: String,
    },
    /// It is no template, or names what is not there.
    #[error("`{name}`: {source}")]
    Template {
        /// Name of its file.
        name: String,
        /// What is wrong, and in which line.
        source: minijinja::Error,
    },
    /// The first line is not the subject.
    #[error("`{0}` must begin with `Subject: ` and an empty line")]
    NoSubject(String),
    /// What comes of it is no letter.
    #[error(transparent)]
    Letter(NoLetter),
}

/// A mail without its recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: Option<String>,
}

/// Every template.
#[derive(Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    /// Those of the release, or of the folder where it has one of the same name.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        let mut templates = Self(environment);
        for kind in KINDS {
            for (name, text) in kind.files {
                templates.add(name, (*text).to_owned())?;
            }
        }
        if let Some(folder) = folder {
            templates.replace(folder)?;
            templates.try_all()?;
        }
        Ok(templates)
    }

    fn add(&mut self, name: &str, text: String) -> Result<(), TemplateError> {
        let added = self.0.add_template_owned(name.to_owned(), text);
        added.map_err(|source| TemplateError::Template {
            name: name.to_owned(),
            source,
        })
    }

    fn replace(&mut self, folder: &Path) -> Result<(), TemplateError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| TemplateError::Unreadable { path, source }
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(at(folder))? {
            paths.push(entry.map_err(at(folder))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default().to_owned();
            // What editors and packages leave there.
            if name.starts_with('.') || name.ends_with('~') || path.is_dir() {
                continue;
            }
            let known = KINDS.iter().flat_map(|kind| kind.names());
            if !known.clone().any(|known| known == name) {
                let known = known.collect::<Vec<_>>().join(", ");
                return Err(TemplateError::Stray { path, known });
            }
            let text = std::fs::read_to_string(&path).map_err(at(&path))?;
            self.add(&name, text)?;
        }
        Ok(())
    }

    /// Whether every template can be written.
    fn try_all(&self) -> Result<(), TemplateError> {
        for kind in KINDS {
            for language in [Language::Ja, Language::En] {
                self.write(kind.name, language, "Example", &(kind.sample)())?;
            }
        }
        Ok(())
    }

    pub(super) fn write(
        &self,
        template: &str,
        language: Language,
        organisation: &str,
        values: &impl Serialize,
    ) -> Result<Text, TemplateError> {
        let name = |kind: &str| format!("{template}.{}.{kind}", language.code());
        let (plain, rich) = (name("txt"), name("html"));
        if self.0.get_template(&plain).is_err() {
            return Err(TemplateError::Unknown(plain));
        }
        let values = minijinja::Value::from(Serde(values));
        let values = context! { organisation, ..values };
        let render = |name: &str| {
            let rendered = self.0.get_template(name).and_then(|t| t.render(&values));
            rendered.map_err(|source| TemplateError::Template {
                name: name.to_owned(),
                source,
            })
        };
        let whole = render(&plain)?.replace("\r\n", "\n");
        let parts = whole.split_once("\n\n");
        let parts = parts.and_then(|(head, text)| Some((head.strip_prefix("Subject: ")?, text)));
        let (subject, text) = parts.ok_or(TemplateError::NoSubject(plain))?;
        let html = match self.0.get_template(&rich) {
            Ok(_) => Some(render(&rich)?),
            Err(_) => None,
        };
        Ok(Text {
            subject: subject.to_owned(),
            text: text.to_owned(),
            html,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_template_of_the_release_can_be_written_in_both_languages() {
        let templates = Templates::load(None).unwrap();
        templates.try_all().unwrap();
        for kind in KINDS {
            for language in [Language::Ja, Language::En] {
                let written = templates
                    .write(kind.name, language, "Example", &(kind.sample)())
                    .unwrap();
                assert!(!written.subject.trim().is_empty(), "{}", kind.name);
                assert!(!written.text.trim().is_empty(), "{}", kind.name);
            }
        }
    }

    #[test]
    fn what_a_value_says_is_no_template_and_no_html() {
        let folder = tempfile::tempdir().unwrap();
        let html = "<p>{{ text }}</p>";
        std::fs::write(folder.path().join("notification.en.html"), html).unwrap();
        let templates = Templates::load(Some(folder.path())).unwrap();
        let values = json!({"subject": "a", "text": "{{ organisation }} <b>&"});
        let written = templates
            .write("notification", Language::En, "Example", &values)
            .unwrap();
        assert!(written.text.contains("{{ organisation }} <b>&"));
        assert_eq!(
            written.html.unwrap(),
            "<p>{{ organisation }} &lt;b&gt;&amp;</p>"
        );
    }

    #[test]
    fn a_companys_own_template_that_cannot_be_written_is_refused_at_the_start() {
        for (name, text, why) in [
            (
                "notification.ja.txt",
                "Subject: x\n\n{{ nobody }}",
                "undefined",
            ),
            ("notification.ja.txt", "Subject: x\n\n{{ text", "unexpected"),
            ("notification.ja.txt", "x", "must begin with `Subject: `"),
            ("notificaton.ja.txt", "Subject: x\n\n", "is for no template"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
            let error = Templates::load(Some(folder.path())).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(why) && told.contains(name), "{told}");
        }
        let missing = Templates::load(Some(Path::new("/nowhere"))).unwrap_err();
        assert!(matches!(missing, TemplateError::Unreadable { .. }));
    }

    #[test]
    fn a_companys_own_template_stands_for_that_of_the_release() {
        let folder = tempfile::tempdir().unwrap();
        let text = "Subject: [{{ organisation }}] {{ subject }}\r\n\r\nHi. {{ text }}";
        std::fs::write(folder.path().join("notification.en.txt"), text).unwrap();
        std::fs::write(folder.path().join(".notification.en.txt.swp"), "x").unwrap();
        let templates = Templates::load(Some(folder.path())).unwrap();
        let values = json!({"subject": "a", "text": "b"});
        let written = templates.write("notification", Language::En, "Example", &values);
        assert_eq!(
            written.unwrap(),
            Text {
                subject: "[Example] a".to_owned(),
                text: "Hi. b".to_owned(),
                html: None
            }
        );
    }
}
