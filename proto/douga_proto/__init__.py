"""The contract between server and clients. `v1` holds the .proto files and what is generated from them."""
