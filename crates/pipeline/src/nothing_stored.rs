//! What can be read of a store that is a sink: nothing. The stages for readers stand over it in a process
//! that has none.

use async_trait::async_trait;
use market::{Bar, Symbol, Tick, Timestamp};
use store::{
    BarQuery, Instrument, InstrumentQuote, PriceReader, Result, StoredTick, SymbolPage, SymbolQuery,
};

pub(crate) struct NothingStored;

#[async_trait]
impl PriceReader for NothingStored {
    async fn ticks_after(&self, _: &Symbol, _: u64, _: usize) -> Result<Vec<StoredTick>> {
        Ok(Vec::new())
    }

    async fn ticks(&self, _: &Symbol, _: Timestamp, _: Timestamp, _: usize) -> Result<Vec<Tick>> {
        Ok(Vec::new())
    }

    async fn latest_tick(&self, _: &Symbol) -> Result<Option<StoredTick>> {
        Ok(None)
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        Ok(vec![Vec::new(); queries.len()])
    }

    async fn instruments(&self) -> Result<Vec<Instrument>> {
        Ok(Vec::new())
    }

    async fn symbols(&self, _: &SymbolQuery) -> Result<SymbolPage> {
        Ok(SymbolPage::default())
    }

    async fn quotes(&self, _: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        Ok(Vec::new())
    }
}
