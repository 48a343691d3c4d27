"""Records where a team already looks: MLflow and TensorBoard. Nothing here is needed by the gate."""
