//! Fans made from origins, by the states that whoever asks for one gets too.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use market::Fan;

use super::{Inner, JOBS_PER_THREAD, series::Task};
use crate::{
    Result, ServingError,
    contenders::LiveModel,
    model_cache::{CachedModel, Refresh},
    origin::{Origin, recipe},
};

impl Inner {
    /// The fans of all tasks; those that cannot be made are left out.
    pub(super) async fn fans(&self, tasks: &[&Task]) -> Result<Vec<Fan>> {
        let jobs: Vec<(Arc<Origin>, LiveModel)> = tasks
            .iter()
            .flat_map(|task| task.models.iter().map(|model| (&task.origin, model)))
            .map(|(origin, model)| (Arc::clone(origin), model.clone()))
            .collect();
        let jobs = jobs.into_iter().enumerate();
        // No more than the threads have to do next: whoever asks for one of the states meanwhile makes it.
        let at_once = JOBS_PER_THREAD * self.cpu.threads();
        let mut made: Vec<(usize, Option<Fan>)> = futures::stream::iter(jobs)
            .map(|(at, (origin, model))| async move {
                let fan = self.fan(origin, model).await?;
                Ok::<_, ServingError>((at, fan))
            })
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        made.sort_unstable_by_key(|(at, _)| *at);
        Ok(made.into_iter().filter_map(|(_, fan)| fan).collect())
    }

    /// The fan of a model at an origin, from the state that whoever asks for it gets too: it is made once, and
    /// who comes second waits.
    async fn fan(&self, origin: Arc<Origin>, live: LiveModel) -> Result<Option<Fan>> {
        let key = origin.key();
        let origin = self.reader.reaching(origin, &*live.model).await?;
        let turn = self.cache.turn(&key, &live.cached_as).await;
        let (cache, config) = (Arc::clone(&self.cache), self.config.clone());
        let (stop, now) = (self.stop.clone(), self.market.wall());
        let work = move || {
            let LiveModel {
                name,
                cached_as,
                model,
            } = live;
            let make = || -> forecast::Result<(Fan, Refresh)> {
                let kept = cache.get(&key, &cached_as);
                let recipe = recipe(&config, origin.interval);
                let fit = || CachedModel::at(&origin.window, kept, &*model, &recipe, now);
                let (state, refresh) = stop.scope(fit)?;
                let fan = origin.fan(&name, &state, &config)?;
                cache.put(key.clone(), cached_as, state);
                Ok((fan, refresh))
            };
            let made = make().inspect_err(|e| {
                let (symbol, interval) = &key;
                tracing::debug!(%symbol, %interval, model = %name, error = %e, "no forecast");
            });
            // The state is kept before the next one looks for it.
            drop(turn);
            made.ok()
        };
        let made = self.cpu.run(work).await?;
        if let Some((_, Refresh::Fitted)) = made {
            self.counters.fans_fitted.add(1);
        }
        Ok(made.map(|(fan, _)| fan))
    }
}
