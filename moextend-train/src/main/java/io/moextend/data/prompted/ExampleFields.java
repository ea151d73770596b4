package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The names of a file's fields. A field that may hold a text or ids is taken for what it is.
 *
 * @param inputs text or ids
 * @param targets text or ids
 * @param inputsText text beside ids, or in the place of them; may be missing
 * @param targetsText likewise
 * @param choices texts; may be missing
 */
public record ExampleFields(
    String inputs, String targets, String inputsText, String targetsText, String choices) {
  /** As SeqIO's caches, P3 and T0 have them. */
  public static final ExampleFields SEQIO =
      new ExampleFields(
          "inputs", "targets", "inputs_pretokenized", "targets_pretokenized", "answer_choices");

  /** As files for instruction tuning have them. */
  public static final ExampleFields COMPLETION =
      new ExampleFields("prompt", "completion", "prompt_text", "completion_text", "choices");

  // of a row for each choice; SeqIO gives them no other names
  private static final String INDEX = "idx";
  private static final String CORRECT = "is_correct";
  private static final String WEIGHT = "weight";

  /** All fields that are read where a file has them. */
  Set<String> names() {
    return Set.of(inputs, targets, inputsText, targetsText, choices, INDEX, CORRECT, WEIGHT);
  }

  /**
   * @param where file and number of the record
   * @throws DataException if inputs or targets are missing, or a field has another type
   */
  PromptedExample read(String where, Map<String, FieldValue> record) {
    return new PromptedExample(
        where,
        side(where, record, inputs, inputsText),
        side(where, record, targets, targetsText),
        texts(where, record, choices),
        ranked(where, record));
  }

  private static Side side(
      String where, Map<String, FieldValue> record, String name, String textName) {
    String text = null;
    int[] ids = null;
    switch (record.get(name)) {
      case null -> {}
      case FieldValue.Texts texts -> text = one(where, name, texts);
      case FieldValue.Integers(long[] values) -> ids = ids(where, name, values);
      case FieldValue.Nothing() -> ids = new int[0];
      case FieldValue.Reals wrong -> throw wrong(where, name, wrong, "a text or ids");
    }
    switch (record.get(textName)) {
      case null -> {}
      case FieldValue.Texts texts -> text = text != null ? text : one(where, textName, texts);
      case FieldValue wrong -> throw wrong(where, textName, wrong, "a text");
    }
    if (text == null && ids == null) {
      throw new DataException(
          "%s: it has no field %s or %s, but %s; name the fields as the file does"
              .formatted(where, name, textName, new TreeSet<>(record.keySet())));
    }
    return new Side(text, ids);
  }

  private static String one(String where, String name, FieldValue.Texts texts) {
    if (texts.values().size() != 1) {
      throw wrong(where, name, texts, "one text");
    }
    return texts.values().getFirst();
  }

  private static int[] ids(String where, String name, long[] values) {
    int[] ids = new int[values.length];
    for (int i = 0; i < ids.length; i++) {
      if (values[i] < 0 || values[i] > Integer.MAX_VALUE) {
        throw new DataException(
            "%s: %s has %d at %d, which is no id; make the file anew"
                .formatted(where, name, values[i], i));
      }
      ids[i] = (int) values[i];
    }
    return ids;
  }

  private static List<String> texts(String where, Map<String, FieldValue> record, String name) {
    return switch (record.get(name)) {
      case null -> List.of();
      case FieldValue.Nothing() -> List.of();
      case FieldValue.Texts(List<String> values) -> values;
      case FieldValue wrong -> throw wrong(where, name, wrong, "a list of texts");
    };
  }

  private static PromptedExample.@Nullable Ranked ranked(
      String where, Map<String, FieldValue> record) {
    if (!record.containsKey(INDEX) || !record.containsKey(CORRECT)) {
      return null;
    }
    long[] index = integers(where, record, INDEX, 2);
    long correct = integers(where, record, CORRECT, 1)[0];
    if (index[0] < 0 || index[1] < 0 || index[1] > Integer.MAX_VALUE) {
      throw new DataException(
          "%s: idx=%s counts from 0; make the file anew".formatted(where, list(index)));
    }
    return new PromptedExample.Ranked(
        index[0], (int) index[1], correct != 0, weight(where, record));
  }

  private static List<Long> list(long[] values) {
    var list = new ArrayList<Long>();
    for (long value : values) {
      list.add(value);
    }
    return list;
  }

  private static long[] integers(
      String where, Map<String, FieldValue> record, String name, int count) {
    FieldValue value = record.get(name);
    if (value instanceof FieldValue.Integers(long[] values) && values.length == count) {
      return values;
    }
    throw wrong(where, name, value, count + " whole numbers");
  }

  private static double weight(String where, Map<String, FieldValue> record) {
    return switch (record.get(WEIGHT)) {
      case null -> 1;
      case FieldValue.Reals(double[] values) when values.length == 1 && values[0] >= 0 -> values[0];
      case FieldValue.Integers(long[] values) when values.length == 1 && values[0] >= 0 ->
          values[0];
      case FieldValue wrong -> throw wrong(where, WEIGHT, wrong, "one number from 0");
    };
  }

  private static DataException wrong(
      String where, String name, @Nullable FieldValue value, String wanted) {
    return new DataException(
        "%s: %s holds %s where %s is wanted; mend the file, or name another field"
            .formatted(where, name, value == null ? "nothing" : value.kind(), wanted));
  }
}
