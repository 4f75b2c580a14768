//! The URL of a place for objects.

use url::Url;

use super::ObjectsError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    Azure,
    S3,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) url: Url,
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, ObjectsError> {
        // What follows a `?` or stands before an `@` may be a secret.
        let shown = text.split('?').next().unwrap_or_default();
        let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
            _ => shown.to_owned(),
        };
        let wrong = |why| ObjectsError::Place {
            shown: shown.clone(),
            why,
        };
        let url = Url::parse(text).map_err(|_| {
            wrong("use `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`")
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong(
                "accounts and credentials come from the environment, not from the URL",
            ));
        }
        if url.fragment().is_some() || url.port().is_some() {
            return Err(wrong("it has a port or a fragment"));
        }
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        let kind = match (url.scheme(), has_host) {
            ("file", false) if url.path().len() > 1 => Kind::Folder,
            ("file", _) => return Err(wrong("a folder is `file:///` and its absolute path")),
            ("az", true) => Kind::Azure,
            ("az", false) => return Err(wrong("it names no container")),
            ("s3", true) => Kind::S3,
            ("s3", false) => return Err(wrong("it names no bucket")),
            _ => {
                return Err(wrong(
                    "use `file:///FOLDER`, `az://CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`",
                ));
            }
        };
        Ok(Self { kind, url })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;

    #[test]
    fn a_place_is_a_folder_a_container_or_a_bucket_without_secrets() {
        for place in [
            "file:///var/cold",
            "az://cold",
            "az://cold/a/b",
            "s3://cold/a",
        ] {
            assert_eq!(check(place), Ok(()), "{place}");
        }
        for place in [
            "",
            "/var/cold",
            "file:///",
            "file://host/x",
            "az:///x",
            "gs://x",
            "https://account.blob.core.windows.net/x?sig=sEcReT",
            "az://account:sEcReT@cold",
            "az://cold?sig=sEcReT",
            "s3://cold#x",
        ] {
            let refused = check(place).unwrap_err().to_string();
            assert!(!refused.contains("sEcReT"), "{refused}");
        }
    }
}
