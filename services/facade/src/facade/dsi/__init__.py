"""What there is to know of the predictive interventions that are served: their source attributes and model cards."""
