/** Element types, opaque device arrays, and the arenas that own their memory. */
@NullMarked
package io.moextend.array;

import org.jspecify.annotations.NullMarked;
