/**
 * Work to be timed: training steps of a random model, the same work as scripts/bench has for the
 * peers.
 */
@NullMarked
package io.moextend.bench;

import org.jspecify.annotations.NullMarked;
