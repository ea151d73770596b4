/**
 * Every kernel again, as loops over doubles that are written to be read next to the interfaces:
 * what the oracle itself is compared with.
 */
@NullMarked
package io.moextend.backend.plain;

import org.jspecify.annotations.NullMarked;
