/**
 * Stages as sets of parameter roles, and what is chosen between two of them: where the routing
 * moved, which layers are therefore extended, and from which expert each new one is copied.
 */
@NullMarked
package io.moextend.stage;

import org.jspecify.annotations.NullMarked;
