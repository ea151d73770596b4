package io.moextend.backend;

import io.moextend.array.DType;
import io.moextend.backend.KernelCases.Answer;
import io.moextend.backend.KernelCases.Seeded;
import io.moextend.backend.Trial.Result;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * What the oracle says of every case in every compute type, in a file for machines that do not have
 * the oracle. Inputs are made again from their seeds there, and compared by fingerprint. Short
 * results are exact; longer ones rounded to f32, less than a hundredth of what their tolerance
 * allows; of the longest each seventh row is there, and the last, so that the file stays small.
 */
record KernelRecord(TreeMap<String, Answer> answers) {
  private static final int MAGIC = 0x4d584b31;
  private static final int MOST_EXACT = 16;
  private static final int MOST_WHOLE = 4096;
  private static final int EACH = 7;

  /** The types that a card computes in. */
  static final List<DType> TYPES = List.of(DType.F32, DType.BF16);

  static KernelRecord of(Backend oracle, List<Seeded> cases) {
    var answers = new TreeMap<String, Answer>();
    for (DType type : TYPES) {
      for (Seeded seeded : cases) {
        answers.put(key(type, seeded), KernelCases.answer(oracle, type, seeded));
      }
    }
    return new KernelRecord(answers);
  }

  private static String key(DType type, Seeded seeded) {
    return type + " " + seeded;
  }

  Answer answer(DType type, Seeded seeded) {
    Answer answer = answers.get(key(type, seeded));
    if (answer == null) {
      throw new IllegalStateException(
          "the record has no such case; pack again with the same version");
    }
    return answer;
  }

  void write(Path file) throws IOException {
    try (var out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
      out.writeInt(MAGIC);
      out.writeInt(answers.size());
      for (var entry : answers.entrySet()) {
        out.writeUTF(entry.getKey());
        out.writeLong(entry.getValue().inputs());
        out.writeInt(entry.getValue().results().size());
        for (Result result : entry.getValue().results()) {
          write(out, result);
        }
      }
    }
  }

  private static void write(DataOutputStream out, Result result) throws IOException {
    out.writeUTF(result.name());
    out.writeUTF(result.dtype().name());
    out.writeDouble(result.loosened());
    out.writeInt(result.shape().length);
    for (long dim : result.shape()) {
      out.writeLong(dim);
    }
    out.writeInt(result.values().length);
    double[] values = result.values();
    for (int i = 0; i < values.length; i++) {
      if (values.length <= MOST_EXACT) {
        out.writeDouble(values[i]);
      } else if (kept(result.shape(), values.length, i)) {
        out.writeFloat((float) values[i]);
      }
    }
  }

  /** A long result of few rows has elements left out instead. */
  private static boolean kept(long[] shape, int length, int i) {
    int width = shape.length == 0 ? 1 : Math.toIntExact(Math.max(1, shape[shape.length - 1]));
    int unit = length / width < EACH ? 1 : width;
    return length <= MOST_WHOLE || i / unit % EACH == 0 || i >= length - unit;
  }

  static KernelRecord read(Path file) throws IOException {
    try (var in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      if (in.readInt() != MAGIC) {
        throw new IOException(file + ": is no record of kernels");
      }
      var answers = new TreeMap<String, Answer>();
      for (int left = in.readInt(); left > 0; left--) {
        String key = in.readUTF();
        long inputs = in.readLong();
        var results = new ArrayList<Result>();
        for (int more = in.readInt(); more > 0; more--) {
          results.add(result(in));
        }
        answers.put(key, new Answer(inputs, results));
      }
      return new KernelRecord(answers);
    }
  }

  private static Result result(DataInputStream in) throws IOException {
    String name = in.readUTF();
    DType type = DType.valueOf(in.readUTF());
    double loosened = in.readDouble();
    long[] shape = new long[in.readInt()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = in.readLong();
    }
    double[] values = new double[in.readInt()];
    for (int i = 0; i < values.length; i++) {
      if (values.length <= MOST_EXACT) {
        values[i] = in.readDouble();
      } else {
        values[i] = kept(shape, values.length, i) ? in.readFloat() : KernelCases.UNKNOWN;
      }
    }
    return new Result(name, type, shape, values, loosened);
  }
}
