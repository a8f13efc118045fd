//! `mapae serve`

use mapae::Mapae;
use mapae::domain::DeclaredScope;
use mapae::domain::scope::Admin;
use mapae::service::accounts::{AccountError, NewAccount};
use mapae::service::{Background, By};
use mapae_verify::Scopes;

use super::{Failure, print, sentence};
use crate::config::{Config, FirstAdmin, reason};
use crate::listener::{self, StopSignals};
use crate::traces::ParentLayer;
use crate::{data_dir, metrics, service, telemetry};

/// Serves until told to stop. `again` are the flags by which another command finds the same database.
pub(super) async fn serve(config: Config, again: &str) -> Result<(), Failure> {
    let stop = StopSignals::catch()?;
    // Before anything is made, so that nothing has to be taken back when the address is taken.
    let listener = listener::bind(&config.listen).await?;
    let address =
        listener.local_addr().map_err(|error| Failure::command(format!("The address is lost: {}.", reason(&error))))?;
    let base_url = config.base_url(address.port());
    // Before the service is made, so that nothing that it does is missed.
    let metrics = match &config.metrics_listen {
        Some(listen) => Some((listener::bind(listen).await?, metrics::install()?)),
        None => None,
    };
    let metrics_address = metrics.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
    let (mapae, made) = service::start(&config, base_url).await?;
    let first = made.is_first_start();
    let (has_admin, background) = match make_ready(&mapae, &config).await {
        Ok(ready) => ready,
        Err(failure) => {
            mapae.store().close().await;
            drop(made);
            return Err(failure);
        }
    };
    made.keep();
    let started = Started {
        address: address.to_string(),
        metrics: metrics_address.map(|address| format!("http://{address}/metrics")),
        mapae: &mapae,
        config: &config,
        first,
        has_admin,
        again,
    };
    started.announce()?;

    let metrics = metrics.map(|(listener, handle)| metrics::serve(listener, handle, mapae.clone()));
    let mut app = mapae::http::app(mapae.clone());
    if config.traces_endpoint.is_some() {
        app = app.layer(ParentLayer::new(&config.trusted_proxies));
    }
    listener::serve(listener, app, config.shutdown_grace, stop).await;
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    background.stop().await;
    mapae.store().close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The last steps before the first request; whether there is an administrator, and what runs in the background.
async fn make_ready(mapae: &Mapae, config: &Config) -> Result<(bool, Background), Failure> {
    let misfits = mapae.check_mapping().await.map_err(sentence)?;
    if !misfits.is_empty() {
        return Err(Failure::command(format!(
            "The user table does not fit the settings; `mapae doctor` tells more: {}",
            misfits.join(" ")
        )));
    }
    if let Some(admin) = &config.first_admin {
        make_first_admin(mapae, admin).await?;
    }
    let has_admin = mapae.has_administrator().await.map_err(sentence)?;
    Ok((has_admin, mapae.watch().await.map_err(sentence)?))
}

/// Makes the configured administrator, unless there is one already or the address is somebody's: an account that
/// somebody made for himself is never raised.
async fn make_first_admin(mapae: &Mapae, admin: &FirstAdmin) -> Result<(), Failure> {
    if mapae.has_administrator().await.map_err(sentence)? {
        return Ok(());
    }
    let scopes = Scopes::parse(Admin::NAME).map_err(sentence)?.union(&mapae.settings().default_scopes);
    let account = NewAccount {
        email: Some(admin.email.clone()),
        username: None,
        full_name: None,
        password: admin.password.clone(),
    };
    match mapae.add_account(account, Some(scopes), By::System).await {
        Ok(user) => tracing::info!(user = %user.id, "the first administrator was made"),
        // Another node that started at the same moment made it.
        Err(AccountError::EmailTaken) if mapae.has_administrator().await.map_err(sentence)? => {}
        Err(AccountError::EmailTaken) => tracing::warn!(
            "there is no administrator, but the address of MAPAE_ADMIN_EMAIL has an account already, which is left as \
             it is: make it one with `mapae user grant ADDRESS mapae:admin`"
        ),
        Err(error) => {
            let reason = error.to_string();
            return Err(Failure::command(format!("The administrator of MAPAE_ADMIN_EMAIL cannot be made: {reason}")));
        }
    }
    Ok(())
}

/// What there is to say after the start.
struct Started<'a> {
    address: String,
    metrics: Option<String>,
    mapae: &'a Mapae,
    config: &'a Config,
    first: bool,
    has_admin: bool,
    again: &'a str,
}

impl Started<'_> {
    fn announce(&self) -> Result<(), Failure> {
        let url = &self.mapae.settings().base_url;
        let docs = format!("{url}/docs");
        let database = match self.config.database.file() {
            Some(file) => service::absolute(file).display().to_string(),
            None => self.config.database.shown(),
        };
        let key = match self.config.master_key {
            Some(_) => None,
            None => Some(service::absolute(&data_dir::key_path(self.config))),
        };
        // Whoever is to administer a shared table has an account there already.
        let how = if self.config.users.is_some() { "grant NAME mapae:admin" } else { "add NAME --admin" };
        let make_admin = (!self.has_admin).then(|| format!("mapae user {how}{}", self.again));
        if telemetry::is_json(self.config.log_format) {
            tracing::info!(
                version = mapae::VERSION,
                address = self.address,
                url = %url,
                docs,
                metrics = self.metrics,
                database,
                master_key = key.as_ref().map(|key| key.display().to_string()),
                first_start = self.first,
                make_administrator = make_admin,
                "listening"
            );
            if let Some(key) = key.filter(|_| self.first) {
                tracing::info!(master_key = %key.display(), "back up the master key together with the database");
            }
            return Ok(());
        }
        let mut text = format!("Mapae {} listens on {}\n\n", mapae::VERSION, self.address);
        let mut line = |name: &str, what: &str| text.push_str(&format!("  {name:<13}{what}\n"));
        line("Address", url.as_str());
        line("Docs", &docs);
        if let Some(metrics) = &self.metrics {
            line("Metrics", metrics);
        }
        line("Database", &database);
        if let Some(key) = &key {
            line("Master key", &key.display().to_string());
            if self.first {
                line("", "Back it up together with the database, which is of no use without it.");
            }
        }
        if let Some(command) = &make_admin {
            line("First admin", command);
        }
        text.push('\n');
        print(&text)
    }
}
