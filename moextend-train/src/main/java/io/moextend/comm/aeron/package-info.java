/**
 * The wire between ranks over Aeron: shared memory of one host (IPC) or UDP between hosts, with an
 * embedded media driver in every rank. Every frame is encrypted and authenticated under a key of
 * this run; what is not of this run is dropped and counted.
 */
@NullMarked
package io.moextend.comm.aeron;

import org.jspecify.annotations.NullMarked;
