from jitr.sandbox.broker.process import main

main()
