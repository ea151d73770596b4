/**
 * The portable backend: plain array operations of ND4J, in float or double. It is the oracle that
 * the other backends are compared with.
 */
@NullMarked
package io.moextend.backend.nd4j;

import org.jspecify.annotations.NullMarked;
