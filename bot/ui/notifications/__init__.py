"""Post to the channels what people should know, once each, and keep it as it should be."""
