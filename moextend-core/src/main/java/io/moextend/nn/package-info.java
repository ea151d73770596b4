/** Layers every model shares. */
@NullMarked
package io.moextend.nn;

import org.jspecify.annotations.NullMarked;
