//! What is otherwise where objects are files.

use std::io;
use std::path::Path as FilePath;

use object_store::path::Path;

use super::{Here, Objects, ObjectsError};

impl Objects {
    /// One file by one: a name that no object can have hides nothing but itself.
    pub(super) async fn list_folder(&self, folder: &FilePath) -> Result<Here, ObjectsError> {
        let unreadable = |error: io::Error| ObjectsError::Unusable {
            shown: self.shown.clone(),
            why: error.to_string(),
        };
        let mut here = Here::default();
        let mut entries = tokio::fs::read_dir(folder).await.map_err(unreadable)?;
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            if !entry.file_type().await.is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            let name = entry.file_name();
            let found = match name.to_str().filter(|name| Path::parse(name).is_ok()) {
                Some(name) => self.find(name).await,
                None => {
                    here.unusable.push(format!("{name:?}"));
                    continue;
                }
            };
            match found {
                Ok(found) => here.objects.extend(found),
                Err(_) => here.unusable.push(format!("{name:?}")),
            }
        }
        here.objects.sort_by(|a, b| a.name.cmp(&b.name));
        here.unusable.sort();
        Ok(here)
    }

    /// Deletes what whoever was writing an object has left of it who was killed before it had its
    /// name: `NAME#1`, which no list shows. Now that there is an object of that name, nobody needs
    /// it any more.
    pub(super) async fn clear_unfinished(&self, name: &str) -> Result<(), ObjectsError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        clear(&folder.join(name))
            .await
            .map_err(|error| ObjectsError::Object {
                name: name.to_owned(),
                shown: self.shown.clone(),
                why: format!("what an earlier attempt left cannot be deleted: {error}"),
            })
    }
}

async fn clear(file: &FilePath) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Ok(());
    };
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let found = entry.file_name();
        let rest = found.to_str().zip(name.to_str());
        let rest = rest.and_then(|(found, name)| found.strip_prefix(name)?.strip_prefix('#'));
        let is_left = rest.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !is_left {
            continue;
        }
        match tokio::fs::remove_file(entry.path()).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
