package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.ArrayList;
import java.util.List;

/**
 * The elements of the layout that one rank keeps: all, or its piece of each bucket. Its own flat
 * arrays hold them one after the other.
 */
final class Holding {
  /**
   * Elements of one parameter.
   *
   * @param from first element, in the layout
   * @param to one past the last, in the layout
   */
  record Part(Slice slice, long from, long to) {
    /** Where the part begins in its parameter. */
    long offset() {
      return from - slice.from();
    }

    Range range() {
      return new Range(from, to);
    }

    long total() {
      return slice.to() - slice.from();
    }
  }

  private final List<Range> ranges = new ArrayList<>();
  private final List<List<Part>> parts = new ArrayList<>();
  private final long[] at;
  private final long length;

  private Holding(ParameterLayout layout, List<Range> ranges) {
    this.at = new long[ranges.size()];
    long next = 0;
    for (Bucket bucket : layout.buckets()) {
      Range range = ranges.get(bucket.index());
      this.at[bucket.index()] = next;
      this.ranges.add(range);
      this.parts.add(within(bucket, range));
      next += range.length();
    }
    this.length = next;
  }

  static Holding whole(ParameterLayout layout) {
    return new Holding(
        layout, layout.buckets().stream().map(b -> new Range(b.from(), b.to())).toList());
  }

  static Holding piece(ParameterLayout layout, int rank) {
    return new Holding(layout, layout.buckets().stream().map(b -> layout.piece(b, rank)).toList());
  }

  private static List<Part> within(Bucket bucket, Range range) {
    var parts = new ArrayList<Part>();
    for (Slice slice : bucket.slices()) {
      long from = Math.max(slice.from(), range.from());
      long to = Math.min(slice.to(), range.to());
      if (from < to) {
        parts.add(new Part(slice, from, to));
      }
    }
    return List.copyOf(parts);
  }

  /** Elements of this rank's flat arrays. */
  long length() {
    return length;
  }

  /** What it has of a bucket. */
  Range range(Bucket bucket) {
    return ranges.get(bucket.index());
  }

  List<Part> parts(Bucket bucket) {
    return parts.get(bucket.index());
  }

  /** Elements of a bucket, given in the layout, in one of this rank's flat arrays. */
  Array of(Array flat, Bucket bucket, long from, long to) {
    long shift = at[bucket.index()] - range(bucket).from();
    return flat.slice(from + shift, to + shift);
  }

  Array of(Array flat, Bucket bucket) {
    return of(flat, bucket, range(bucket).from(), range(bucket).to());
  }

  Array of(Array flat, Part part, ParameterLayout layout) {
    return of(flat, layout.bucket(part.slice()), part.from(), part.to());
  }
}
