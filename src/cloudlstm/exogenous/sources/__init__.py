"""Sources of macro series and headlines: what they hold, and since when each row could be known.

| module | purpose |
|---|---|
| found | what a source has found: rows, refused rows with a reason, notes |
| tables | chosen columns of CSV, text and Parquet files |
| moments | times as files write them, to instants in UTC |
| macro_files | tables of series with the time at which each value was known |
| fred_files | files in FRED's forms |
| release_lags, business_days | when the publishers of FRED's series release them |
| alfred, alfred_client | ALFRED's vintages by HTTP |
| news_files | tables of headlines |
| yahoo_news | the newest headlines of Yahoo Finance |
| synthetic, headlines | generated series and headlines with a planted effect |
"""
