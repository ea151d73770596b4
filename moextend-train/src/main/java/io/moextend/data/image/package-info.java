/** Image files to the numbers a vision tower reads. */
@NullMarked
package io.moextend.data.image;

import org.jspecify.annotations.NullMarked;
