// Runs a job on Apache Flink 2, in a cluster inside this JVM:
//   PeerBench JOB WARM_UP_SECS SECS PARALLELISM TASK_MANAGERS CHECKPOINT_MS SENTENCES_FILE
//
// Jobs are named as by `squall bench`. What comes to the sinks in the middle of the run is measured; then the job is
// cancelled, and a line of JSON says what was found (driver/src/figures.rs).

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.functions.AbstractRichFunction;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

public class PeerBench {
  /** Far more than a run gets through. */
  static final long ENDLESS = Long.MAX_VALUE / 2;
  /** After so many tuples a task adds to the shared count: for each it would be measured as well. */
  static final long ADD_EVERY = 1024;
  /** How often it is looked whether the first tuple has come, in milliseconds. */
  static final long LOOK_EVERY_MS = 5;

  static final TypeInformation<Tuple2<String, Long>> TEXT = Types.TUPLE(Types.STRING, Types.LONG);
  static final TypeInformation<Tuple2<Long, Long>> NUMBER = Types.TUPLE(Types.LONG, Types.LONG);
  static final TypeInformation<Tuple3<Long, Long, String>> COUNT =
      Types.TUPLE(Types.LONG, Types.LONG, Types.STRING);

  // Every task manager is in this JVM, so their tasks share these.
  static final AtomicLong nSunk = new AtomicLong();
  static final Set<Long> checkpoints = ConcurrentHashMap.newKeySet();

  /** Counts what comes to a sink, and the checkpoints that were completed. */
  static final class Meter<T> extends AbstractRichFunction implements MapFunction<T, T>, CheckpointListener {
    private long n;

    @Override
    public T map(T tuple) {
      if (++n == ADD_EVERY) {
        close();
      }
      return tuple;
    }

    @Override
    public void close() {
      nSunk.addAndGet(n);
      n = 0;
    }

    @Override
    public void notifyCheckpointComplete(long id) {
      checkpoints.add(id);
    }
  }

  /** Splits sentences into words. */
  static final class Split implements FlatMapFunction<Tuple2<String, Long>, Tuple2<String, Long>> {
    @Override
    public void flatMap(Tuple2<String, Long> sentence, Collector<Tuple2<String, Long>> out) {
      for (String word : sentence.f0.split(" ")) {
        out.collect(Tuple2.of(word, sentence.f1));
      }
    }
  }

  /** Counts by word, and emits each new count. */
  static final class Count
      extends KeyedProcessFunction<String, Tuple2<String, Long>, Tuple3<Long, Long, String>> {
    private transient ValueState<Long> counts;

    @Override
    public void open(OpenContext context) {
      counts = getRuntimeContext().getState(new ValueStateDescriptor<>("counts", Types.LONG));
    }

    @Override
    public void processElement(
        Tuple2<String, Long> word, Context context, Collector<Tuple3<Long, Long, String>> out) throws Exception {
      Long before = counts.value();
      long count = before == null ? 1 : before + 1;
      counts.update(count);
      out.collect(Tuple3.of(count, word.f1, word.f0));
    }
  }

  public static void main(String[] args) throws Exception {
    String job = args[0];
    long warmUpSecs = Long.parseLong(args[1]);
    long secs = Long.parseLong(args[2]);
    StreamExecutionEnvironment env =
        environment(Integer.parseInt(args[3]), Integer.parseInt(args[4]), Long.parseLong(args[5]));
    String[] sentences = Files.readAllLines(Path.of(args[6])).toArray(new String[0]);
    switch (job) {
      case "word-count" -> wordCount(env, sentences);
      case "pass-through" -> passThrough(env, false);
      case "pass-through-hop" -> passThrough(env, true);
      default -> throw new IllegalArgumentException("no " + job + " here");
    }
    JobClient client = env.executeAsync(job);
    System.out.println(measure(client, warmUpSecs, secs));
    client.cancel().get();
    System.exit(0);
  }

  static StreamExecutionEnvironment environment(int parallelism, int taskManagers, long checkpointMs) {
    Configuration config = new Configuration();
    config.setString("rest.port", "0");
    for (String server : new String[] {"rest.bind-address", "jobmanager.bind-host", "taskmanager.bind-host"}) {
      config.setString(server, "127.0.0.1");
    }
    config.setString("minicluster.number-of-taskmanagers", Integer.toString(taskManagers));
    config.setString("taskmanager.numberOfTaskSlots", Integer.toString(parallelism / taskManagers));
    config.setString("taskmanager.memory.network.min", "128m");
    config.setString("taskmanager.memory.network.max", "128m");
    config.setString("execution.checkpointing.storage", "jobmanager");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(parallelism, config);
    // Tuples are handed on without being copied: what nobody changes may be shared.
    env.getConfig().enableObjectReuse();
    env.enableCheckpointing(checkpointMs, CheckpointingMode.AT_LEAST_ONCE);
    return env;
  }

  static void wordCount(StreamExecutionEnvironment env, String[] sentences) {
    sink(
        env.fromSequence(0, ENDLESS)
            .map(i -> Tuple2.of(sentences[(int) (i % sentences.length)], 0L))
            .returns(TEXT)
            .flatMap(new Split())
            .returns(TEXT)
            .keyBy(word -> word.f0)
            .process(new Count())
            .returns(COUNT),
        COUNT);
  }

  /** Source, operator and sink are chained: one thread. With `hop` the source has a thread of its own. */
  static void passThrough(StreamExecutionEnvironment env, boolean hop) {
    SingleOutputStreamOperator<Tuple2<Long, Long>> pass =
        env.fromSequence(0, ENDLESS)
            .map(i -> Tuple2.of(1L, 0L))
            .returns(NUMBER)
            .map((MapFunction<Tuple2<Long, Long>, Tuple2<Long, Long>>) number -> number)
            .returns(NUMBER);
    sink(hop ? pass.startNewChain() : pass, NUMBER);
  }

  static <T> void sink(SingleOutputStreamOperator<T> tuples, TypeInformation<T> type) {
    tuples.map(new Meter<T>()).returns(type).sinkTo(new DiscardingSink<>());
  }

  /** Returns what is found in the middle of the run, as JSON. */
  static String measure(JobClient client, long warmUpSecs, long secs) throws Exception {
    OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    while (nSunk.get() == 0) {
      check(client);
      Thread.sleep(LOOK_EVERY_MS);
    }
    Thread.sleep(warmUpSecs * 1000);
    long from = System.nanoTime(), cpu = system.getProcessCpuTime(), n = nSunk.get();
    Thread.sleep(secs * 1000);
    long nanos = System.nanoTime() - from;
    long cpuNanos = system.getProcessCpuTime() - cpu, nThen = nSunk.get();
    check(client);
    return String.format(
        "{\"n_emitted\":null,\"n_sunk\":%d,\"span\":{\"n_sunk\":%d,\"nanos\":%d,\"cpu_nanos\":%d},\"n_checkpoints\":%d}",
        nThen, nThen - n, nanos, cpuNanos, checkpoints.size());
  }

  /** Fails when the job has. */
  static void check(JobClient client) throws Exception {
    JobStatus status = client.getJobStatus().get();
    if (status.isGloballyTerminalState()) {
      client.getJobExecutionResult().get();
      throw new IllegalStateException("the job is " + status);
    }
  }
}
