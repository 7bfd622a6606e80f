// protobuf @VERSION@
