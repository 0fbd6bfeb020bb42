//! The users that a server starts with: `requirepass`, the `user` lines of the configuration, the file of users.

use crate::acl::rules::Basis;
use crate::acl::{Rules, Users, file};
use crate::command::permission::catalog;
use crate::command::table::commands;
use crate::config::{ConfigError, Configuration, Settings};

use super::error::{StartError, reason_of};

/// Reads them. The working directory has been entered.
///
/// # Errors
/// The first line that is wrong, or the file of users with all its errors.
pub(super) fn at_start(
    configuration: &Configuration,
    settings: &Settings,
) -> Result<Users, StartError> {
    let basis = Basis {
        catalog: catalog(commands()),
        all_channels: settings.acl_pubsub_all,
    };
    let password = settings.requirepass.as_deref();
    let users = Users::new(Rules::all_may().with_password(password));
    let lines = configuration.users();
    let declared = file::declared(basis, lines).map_err(|error| {
        let origin = lines.get(error.line).map(|line| line.origin.clone());
        let text = String::from_utf8_lossy(&error.text).into_owned();
        match origin {
            Some(origin) => StartError::Configuration(ConfigError {
                reason: text,
                ..origin
            }),
            None => StartError::Users(text),
        }
    })?;
    for (name, rules) in declared {
        users.set(&name, rules);
    }
    if let Some(password) = password
        && !users.default().rules().accepts(password)
    {
        tracing::warn!(
            "requirepass is no password of the user default: the 'user default' line counts, and requirepass has no effect"
        );
    }
    let Some(path) = &settings.aclfile else {
        return Ok(users);
    };
    if let Some(line) = lines.first() {
        return Err(StartError::Configuration(ConfigError {
            reason: "users are declared here and in an aclfile: keep one of the two".to_owned(),
            ..line.origin.clone()
        }));
    }
    let text = std::fs::read(path).map_err(|error| {
        let reason = reason_of(error);
        StartError::Users(format!(
            "cannot read the file of users {}: {reason}: create it, it may be empty, or remove aclfile",
            path.display()
        ))
    })?;
    let listed = file::read(basis, path.as_os_str().as_encoded_bytes(), &text);
    let listed = listed.map_err(|errors| {
        let errors = String::from_utf8_lossy(&errors);
        StartError::Users(format!("the file of users is wrong: {errors}"))
    })?;
    users.replace_all(listed, Rules::all_may().with_password(password));
    Ok(users)
}
