/** One op a file: shapes, forward and backward as neighbours. */
@NullMarked
package io.moextend.op;

import org.jspecify.annotations.NullMarked;
