/** Ranks that talk to each other about a device's arrays, beside what the device computes. */
@NullMarked
package io.moextend.comm.device;

import org.jspecify.annotations.NullMarked;
