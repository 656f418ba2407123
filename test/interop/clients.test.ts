/** Client libraries of four languages, and Node applications that are built on them. */
import { testClients } from './clients.ts';
import { GO } from './groups/go.ts';
import { JAVA } from './groups/java.ts';
import { NODE } from './groups/node.ts';
import { PYTHON } from './groups/python.ts';

testClients([NODE, PYTHON, GO, JAVA]);
