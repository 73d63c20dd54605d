"""Writes the fixtures beside it: small tables with invented prices, by the tools that people use.

    python3 -m venv venv && venv/bin/pip install pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 \
        fastparquet==2026.9.0 tzdata==2026.6 && venv/bin/python make.py

Python 3.11. Every daily table holds the same eight bars, so that one expectation serves for all; the
layouts of yfinance and freqtrade follow their documentation and are written by pandas as they do it.
"""

import datetime as dt
import decimal
import gzip
import json
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent

# Eight sessions around the change to daylight saving time of 2026-03-08 in New York.
DAYS = ["2026-03-04", "2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"]
OPEN = [190.0, 190.5, 190.09, 190.07, 191.25, 191.0, 190.75, 192.03]
HIGH = [191.21, 191.08, 190.38, 191.5, 192.0, 191.31, 192.25, 193.11]
LOW = [189.67, 189.4, 189.8, 189.95, 190.87, 190.02, 190.5, 191.77]
CLOSE = [190.5, 190.09, 190.08, 191.2, 191.04, 190.71, 192.01, 192.6]
VOLUME = [27282, 67664, 34231, 51870, 40012, 38777, 61205, 45990]
# A dividend lies between the fifth and the sixth session.
ADJ = [round(c * 0.98, 2) if i < 5 else c for i, c in enumerate(CLOSE)]

PRICES = {"Open": OPEN, "High": HIGH, "Low": LOW, "Close": CLOSE, "Volume": VOLUME}


def days(zone=None, unit="ns"):
    return pd.DatetimeIndex(pd.to_datetime(DAYS), name="Date").as_unit(unit).tz_localize(zone)


def daily(zone=None, unit="ns"):
    return pd.DataFrame(PRICES, index=days(zone, unit))


def path(name):
    return HERE / name


def columns(date, **types):
    """A pyarrow table of the eight bars; `types` changes the type of prices and volume."""
    price = types.get("price", pa.float64())
    arrays = {"date": date}
    for name in ("Open", "High", "Low", "Close"):
        values = PRICES[name]
        if pa.types.is_decimal(price):
            values = [decimal.Decimal(str(v)) for v in values]
        elif price == pa.float16():
            values = [np.float16(v) for v in values]
        arrays[name.lower()] = pa.array(values, price)
    arrays["volume"] = pa.array(VOLUME, types.get("volume", pa.int64()))
    return pa.table(arrays)


DATES = pa.array([dt.date.fromisoformat(d) for d in DAYS], pa.date32())


def pandas_files():
    daily().reset_index().to_parquet(path("pandas-naive-ns.parquet"))
    daily("America/New_York").to_parquet(path("pandas-new-york-index.parquet"))
    daily("Asia/Tokyo", "us").to_parquet(path("pandas-tokyo-index.parquet"))
    daily("UTC", "ms").reset_index().to_parquet(path("pandas-utc-ms.parquet"))
    unnamed = daily()
    unnamed.index.name = None
    unnamed.to_parquet(path("pandas-unnamed-index.parquet"))
    early = daily()
    early.index = pd.DatetimeIndex(pd.to_datetime(DAYS) - pd.DateOffset(years=55), name="Date").as_unit("ns")
    early.reset_index().to_parquet(path("pandas-1971-ns.parquet"))
    for codec in ("snappy", "zstd", "gzip", "lz4", "brotli", None):
        daily().reset_index().to_parquet(path(f"pandas-{codec or 'uncompressed'}.parquet"), compression=codec)
    adjusted = daily()
    adjusted.insert(4, "Adj Close", ADJ)
    adjusted.to_parquet(path("pandas-adj-close.parquet"))
    daily(None, "s").to_parquet(path("pandas-seconds.parquet"))
    holes = daily().reset_index()
    holes.loc[2, "Close"] = np.nan
    holes.loc[4, "Date"] = pd.NaT
    holes.to_parquet(path("pandas-holes.parquet"))
    texts = daily().reset_index()
    texts["Date"] = texts["Date"].dt.strftime("%Y-%m-%d")
    texts.to_parquet(path("pandas-text-dates.parquet"))
    long = pd.concat([daily().assign(Ticker=t, Close=np.array(CLOSE) + i) for i, t in enumerate(["AAPL", "MSFT"])])
    long["High"] += 1
    long["Ticker"] = long["Ticker"].astype("category")
    long.reset_index().to_parquet(path("pandas-category-ticker.parquet"))
    for compression in ("lz4", "zstd", "uncompressed"):
        daily("America/New_York").reset_index().to_feather(
            path(f"pandas-{compression}.feather"), compression=compression
        )


def arrow_files():
    pq.write_table(columns(DATES, price=pa.decimal128(12, 4), volume=pa.uint64()), path("arrow-decimal128.parquet"))
    for name, kind in {
        "decimal32": pa.decimal128(9, 2),
        "decimal64": pa.decimal128(18, 4),
    }.items():
        pq.write_table(
            columns(DATES, price=kind), path(f"arrow-{name}-as-integer.parquet"), store_decimal_as_integer=True
        )
    pq.write_table(columns(DATES, price=pa.decimal256(40, 8)), path("arrow-decimal256.parquet"))
    pq.write_table(columns(DATES, price=pa.float32(), volume=pa.int32()), path("arrow-float32.parquet"))
    pq.write_table(columns(DATES, price=pa.float16()), path("arrow-float16.parquet"))
    stamps = pa.array([dt.datetime.fromisoformat(d) for d in DAYS], pa.timestamp("ns"))
    pq.write_table(columns(stamps), path("arrow-int96.parquet"), use_deprecated_int96_timestamps=True)
    # Without the Arrow schema beside it: what a reader of Parquet alone is told.
    pq.write_table(columns(stamps), path("arrow-no-schema.parquet"), store_schema=False)
    local = pa.array(pd.to_datetime(DAYS).as_unit("us").tz_localize("America/New_York"))
    pq.write_table(columns(local), path("arrow-version-1.parquet"), version="1.0", data_page_version="1.0")
    pq.write_table(columns(local), path("arrow-data-page-2.parquet"), data_page_version="2.0")
    for name, kind in {"large-string": pa.large_string(), "string-view": pa.string_view(), "binary": pa.binary()}.items():
        table = columns(DATES).append_column("symbol", pa.array(["ACME"] * len(DAYS)).cast(kind))
        with pa.OSFile(str(path(f"arrow-{name}.arrow")), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    clock = pa.array([dt.time(9, 30 + i) for i in range(8)], pa.time64("us"))
    minutes = columns(pa.array([dt.date(2026, 3, 4)] * 8, pa.date32())).add_column(1, "time", clock)
    pq.write_table(minutes, path("arrow-date-and-time.parquet"))
    with pa.OSFile(str(path("arrow-stream.arrows")), "wb") as sink:
        with pa.ipc.new_stream(sink, columns(local).schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(columns(local), max_chunksize=3)
    groups = columns(DATES)
    pq.write_table(groups, path("arrow-row-groups.parquet"), row_group_size=3)


def polars_files():
    frame = pl.DataFrame({"date": DAYS, **{k.lower(): v for k, v in PRICES.items()}}).with_columns(
        pl.col("date").str.to_date()
    )
    frame.write_parquet(path("polars-date.parquet"))
    frame.with_columns(pl.col("open", "high", "low", "close").cast(pl.Decimal(12, 4))).write_parquet(
        path("polars-decimal.parquet")
    )
    symbols = frame.with_columns(symbol=pl.lit("ACME"))
    tokyo = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Tokyo")
    symbols.with_columns(tokyo).write_parquet(path("polars-tokyo.parquet"))
    symbols.with_columns(pl.col("symbol").cast(pl.Categorical)).write_parquet(path("polars-categorical.parquet"))
    symbols.with_columns(pl.col("symbol").cast(pl.Enum(["OTHER", "ACME"]))).write_ipc(path("polars-enum.arrow"))
    symbols.write_ipc(path("polars.arrow"))
    symbols.write_ipc(path("polars-zstd.arrow"), compression="zstd")
    symbols.write_ipc_stream(path("polars-stream.arrows"), compression="lz4")
    trades = pl.DataFrame(
        {
            "symbol": ["ACME", "ACME", "OTHER", "ACME"],
            "ts": pl.Series([1_772_628_600_000_000, 1_772_628_600_000_000, 1_772_628_600_250_000, 1_772_628_601_500_000])
            .cast(pl.Datetime("us", "UTC")),
            "price": [190.5, 190.49, 12.25, 190.52],
            "size": [100, 5, 7, 20],
        }
    )
    trades.write_parquet(path("polars-trades.parquet"))


def fastparquet_files():
    daily("America/New_York").to_parquet(path("fastparquet-new-york.parquet"), engine="fastparquet")
    text = daily().reset_index().assign(Ticker="ACME")
    text["Ticker"] = text["Ticker"].astype(object)
    text.to_parquet(path("fastparquet-lz4.parquet"), engine="fastparquet", compression="LZ4")


def yfinance_files():
    """yfinance.download(["AAPL", "MSFT"]): columns of two levels, Price over Ticker, or the other way with
    group_by="ticker"; one ticker has two levels as well."""
    one = {"AAPL": daily(None, "s"), "MSFT": daily(None, "s") + 10}
    wide = pd.concat(one, axis=1, names=["Ticker", "Price"])
    wide.to_parquet(path("yfinance-group-by-ticker.parquet"))
    columns_first = wide.swaplevel(axis=1).sort_index(axis=1)
    columns_first.to_parquet(path("yfinance-group-by-column.parquet"))
    columns_first.xs("AAPL", axis=1, level="Ticker", drop_level=False).to_parquet(path("yfinance-one-ticker.parquet"))
    columns_first.reset_index().to_parquet(path("yfinance-reset-index.parquet"))
    pl.from_pandas(columns_first.reset_index()).write_parquet(path("yfinance-through-polars.parquet"))
    history = daily("America/New_York", "s").assign(Dividends=0.0, **{"Stock Splits": 0.0})
    history.to_parquet(path("yfinance-history.parquet"))


def freqtrade_files():
    """Candles as freqtrade keeps them: `date` first, in three widths over the years: a whole number of
    milliseconds, nanoseconds with the zone UTC, milliseconds with the zone UTC."""
    at = pd.date_range("2026-03-04 09:30", periods=8, freq="5min", tz="UTC", unit="ns")
    frame = pd.DataFrame({"date": at, **{k.lower(): v for k, v in PRICES.items()}})
    frame["volume"] = frame["volume"].astype(float)
    widths = {
        "ns": frame,
        "ms": frame.assign(date=frame["date"].dt.as_unit("ms")),
        "int": frame.assign(date=frame["date"].dt.as_unit("ms").astype("int64")),
    }
    for name, table in widths.items():
        folder = path(f"freqtrade-{name}")
        folder.mkdir(exist_ok=True)
        table.to_feather(folder / "BTC_USDT-5m.feather", compression="lz4", compression_level=9)
        table.to_parquet(folder / "ETH_USDT_USDT-5m-futures.parquet")
    rows = widths["int"].to_json(orient="values")
    path("freqtrade-int/BTC_USDT-5m.json").write_text(rows)
    with gzip.GzipFile(path("freqtrade-int/BTC_USDT-5m.json.gz"), "wb", mtime=0) as out:
        out.write(rows.encode())
    trades = pd.DataFrame(
        {
            "timestamp": [1_772_616_600_000, 1_772_616_600_000, 1_772_616_601_250],
            "id": ["900001", "900002", "900003"],
            "type": [None, None, None],
            "side": ["buy", "sell", "buy"],
            "price": [64250.5, 64250.4, 64251.0],
            "amount": [0.25, 0.5, 0.125],
            "cost": [16062.625, 32125.2, 8031.375],
        }
    )
    trades.to_feather(path("freqtrade-int/BTC_USDT-trades.feather"), compression="lz4", compression_level=9)
    path("freqtrade-int/BTC_USDT-trades.json").write_text(trades.to_json(orient="values"))


def json_files():
    frame = daily().reset_index()
    frame.to_json(path("pandas-records.json"), orient="records", date_format="epoch")
    frame.to_json(path("pandas-lines.jsonl"), orient="records", lines=True, date_format="iso")
    lines = pl.from_pandas(frame)
    lines.write_ndjson(path("polars-lines.ndjson"))


if __name__ == "__main__":
    pandas_files()
    arrow_files()
    polars_files()
    fastparquet_files()
    yfinance_files()
    freqtrade_files()
    json_files()
