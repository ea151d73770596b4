/** Running a trained model: traces for comparison, generation, scores. */
@NullMarked
package io.moextend.eval;

import org.jspecify.annotations.NullMarked;
