"""Where the forecasts of a stream go."""
