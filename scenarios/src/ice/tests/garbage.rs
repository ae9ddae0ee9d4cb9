//! Datagrams nobody meant.
