//! `multipart/form-data` (RFC 7578), in which files come.

use bytes::Bytes;
use futures_util::stream;

use crate::answer::Refusal;

/// One field of a form.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    name: String,
    file_name: Option<String>,
    pub(crate) content: Bytes,
}

/// The fields of a form in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<Field>);

impl Form {
    /// The form in a body, if its content type says that there is one.
    pub(crate) async fn of(content_type: &str, body: &Bytes) -> Result<Option<Self>, Refusal> {
        let Ok(boundary) = multer::parse_boundary(content_type) else {
            return Ok(None);
        };
        let whole = stream::iter([Ok::<_, std::convert::Infallible>(body.clone())]);
        let mut form = multer::Multipart::new(whole, boundary);
        let mut fields = Vec::new();
        let unreadable = |error: multer::Error| Refusal::invalid("body", error.to_string());
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            fields.push(Field {
                name: field.name().unwrap_or_default().to_owned(),
                file_name: field.file_name().map(str::to_owned),
                content: field.bytes().await.map_err(unreadable)?,
            });
        }
        Ok(Some(Self(fields)))
    }

    /// A field that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|field| field.name == name)?;
        str::from_utf8(&field.content).ok()
    }

    /// All files of that name; several are sent as `name[]`.
    pub(crate) fn files(&self, name: &str) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |field| {
            field.file_name.is_some() && field.name.trim_end_matches("[]") == name
        })
    }

    pub(crate) fn file(&self, name: &str) -> Result<&Field, Refusal> {
        self.files(name)
            .next()
            .ok_or_else(|| crate::shape::missing(name))
    }

    /// Refuses fields that the provider does not know.
    pub(crate) fn known(&self, known: &[&str]) -> Result<(), Refusal> {
        let bare = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        match self
            .0
            .iter()
            .map(|field| bare(&field.name))
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(Refusal::invalid(
                &name,
                format!("Unrecognized request argument supplied: {name}"),
            )),
        }
    }
}

impl Field {
    pub(crate) fn file_name(&self) -> &str {
        self.file_name.as_deref().unwrap_or_default()
    }

    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.content.len()).unwrap_or(u64::MAX)
    }
}
